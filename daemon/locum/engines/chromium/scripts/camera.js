// The camera's side on the page's own thread: a track, and a studio that fills it, in a Worker
// where the page's policy lets one.

const STUDIO_STARTS_MS = 3000;
const DRESSED_WITHIN_MS = 4000;

// Answers a running studio in a Worker, or null where there can be none. A policy that refuses
// the Workers of pages' own making takes one of its own origin: Python answers for its address.
async function studioInWorker(answer) {
  const source = `(${pictureCode.toString()})().serve(globalThis);`;
  const made = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  try {
    const trusted = trustedAddresses();
    return (
      (await studioFrom(trusted(SETTINGS.workerPath), answer)) ??
      (await studioFrom(trusted(made), answer))
    );
  } catch {
    return null; // The page's policy; it is no trouble.
  } finally {
    URL.revokeObjectURL(made);
  }
}

function trustedAddresses() {
  if (!globalThis.trustedTypes) return (address) => address;
  const policy = trustedTypes.createPolicy("locum", { createScriptURL: (address) => address });
  return (address) => policy.createScriptURL(address);
}

function studioFrom(address, answer) {
  return new Promise((resolve) => {
    const worker = new Worker(address);
    const timer = later(() => resolve(null), STUDIO_STARTS_MS);
    worker.onerror = (event) => {
      event.preventDefault();
      cancelLater(timer);
      resolve(null);
    };
    worker.onmessage = ({ data }) => {
      if (!data.ready) return answer(data);
      cancelLater(timer);
      resolve({
        start: (orders) => worker.postMessage({ start: orders }, [orders.writable]),
        dress: (clothes) => worker.postMessage({ dress: clothes }),
        call: (name, ...values) => worker.postMessage({ call: name, values }),
        inWorker: true,
      });
    };
  });
}

function studioHere(answer) {
  const studio = pictureCode().createStudio(answer);
  return {
    start: (orders) => studio.start(orders),
    dress: (clothes) => studio.dress(clothes),
    call: (name, ...values) => studio.call(name, values),
    inWorker: false,
  };
}

function createCamera() {
  let generator = null;
  let studio = null;
  let starting = null;
  let counts = null;
  let asked = SETTINGS.sizes[0][1];
  let attentive = false;
  let watched = true;
  let burden = 0;
  const waiting = { started: [], counts: [], dressed: [] };

  const told = (what) => new Promise((resolve) => waiting[what].push(resolve));

  function answer(data) {
    if (data.trouble) trouble(`picture: ${data.where}`, data.trouble);
    if (data.counts) counts = data.counts;
    for (const what of Object.keys(waiting)) {
      if (data[what]) waiting[what].splice(0).forEach((resolve) => resolve());
    }
  }

  async function start() {
    generator = new MediaStreamTrackGenerator({ kind: "video" });
    studio = SETTINGS.worker ? await studioInWorker(answer) : null;
    if (studio === null) studio = studioHere(answer);
    const running = told("started");
    const shown = told("counts");
    studio.start({
      writable: generator.writable,
      sizes: SETTINGS.sizes,
      fps: SETTINGS.fps,
      patienceMs: SETTINGS.patienceMs,
      nameplate: SETTINGS.nameplate,
      expected: SETTINGS.dressed,
    });
    await within(STUDIO_STARTS_MS, "picture", running);
    studio.call("ask", asked);
    studio.call("listen", attentive);
    studio.call("watch", watched);
    studio.call("burden", burden);
    const dressed = told("dressed");
    tell({ kind: "camera" }); // Python knows what it is to show.
    // Who is seen before the face is there would be seen without one.
    if (SETTINGS.dressed) await within(DRESSED_WITHIN_MS, "face", dressed);
    await within(STUDIO_STARTS_MS, "first frames", shown);
  }

  return {
    // A track of its own for whoever asks; the source goes on when that one is stopped.
    async track() {
      starting ??= start();
      try {
        await starting;
      } catch (error) {
        starting = null; // The next who asks may have more luck.
        throw error;
      }
      return generator.clone();
    },
    ask(height) {
      if (height === asked) return;
      asked = height;
      studio?.call("ask", height);
    },
    watch(yes) {
      if (yes === watched) return;
      watched = yes;
      studio?.call("watch", yes);
    },
    listen(yes) {
      attentive = yes;
      studio?.call("listen", yes);
    },
    burden(ms) {
      burden = ms;
      studio?.call("burden", ms);
    },
    nod: () => studio?.call("nod"),
    say: (...values) => studio?.call("say", ...values),
    finish: (at) => studio?.call("finish", at),
    dress: (clothes) => studio?.dress(clothes),
    close: () => studio?.call("close"),
    counts: () => ({
      drawn: 0,
      skipped: 0,
      failed: 0,
      rate: 0,
      busyMs: 0,
      width: 0,
      height: 0,
      ...counts,
      inWorker: studio !== null && studio.inWorker,
    }),
  };
}
