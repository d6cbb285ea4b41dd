// What every other script here leans on. All of them are put into one function, together with
// SETTINGS, before a page's own scripts run; none leaves a name that the page could see.

// What we lean on at every moment is taken now: what a page does to its globals later is its own.
const { performance: clock, setTimeout: later, clearTimeout: cancelLater } = globalThis;
const toJson = JSON.stringify;

// Milliseconds on a clock that a Worker of this page shares.
const now = () => clock.timeOrigin + clock.now();

// The binding that the browser put here for us. The page never gets to see it.
const post = globalThis[SETTINGS.binding];
delete globalThis[SETTINGS.binding];

const tell = (message) => post(toJson(message));

let troublesTold = 0;

// An exception of ours is told to Python, and never reaches the page.
function trouble(where, error) {
  troublesTold += 1;
  if (troublesTold > 50) return;
  tell({ kind: "trouble", where, what: String(error).slice(0, 300) });
}

// Runs `work`; answers `otherwise()` where it fails.
function guarded(where, work, otherwise = () => undefined) {
  try {
    return work();
  } catch (error) {
    trouble(where, error);
    return otherwise();
  }
}

// Waits for a promise, but not for ever; a page must never hang in our hands.
async function within(ms, what, promise) {
  const late = Symbol("late");
  const timer = new Promise((resolve) => later(resolve, ms, late));
  const answer = await Promise.race([promise, timer]);
  if (answer === late) trouble(what, `nothing in ${ms} ms`);
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function base64Of(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) {
    text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  }
  return btoa(text);
}

// Puts `make(native)` in the place of a method, as inconspicuous as the one before.
function replaceMethod(owner, name, make) {
  const before = owner && Object.getOwnPropertyDescriptor(owner, name);
  if (!before || typeof before.value !== "function") return;
  // A method, so that it can't be constructed, and has no prototype, as natives haven't.
  const after = make(before.value);
  Object.defineProperty(after, "name", { value: name, configurable: true });
  Object.defineProperty(after, "length", { value: before.value.length, configurable: true });
  Object.defineProperty(owner, name, { ...before, value: after });
}

// The same for the getter, and the setter if there is one, of a property.
function replaceAccessor(owner, name, make) {
  const before = owner && Object.getOwnPropertyDescriptor(owner, name);
  if (!before || !before.get) return;
  Object.defineProperty(owner, name, { ...before, ...make(before) });
}
