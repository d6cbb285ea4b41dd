// Drags a face's points on its picture. The page comes from `locum persona avatar rig --edit`,
// which serves it on this machine alone, under an address that nobody else knows, and ends when
// the points are saved.

const SVG = "http://www.w3.org/2000/svg";
const picture = document.getElementById("picture");
const shownName = document.getElementById("name");
const told = document.getElementById("told");

const answer = await fetch("points.json");
const { points, size: [width, height] } = await answer.json();

picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
const image = document.createElementNS(SVG, "image");
image.setAttribute("href", "picture.png");
image.setAttribute("width", width);
image.setAttribute("height", height);
picture.append(image);

const radius = Math.max(width, height) / 110;
for (const name of Object.keys(points)) addPoint(name);

function addPoint(name) {
  const circle = document.createElementNS(SVG, "circle");
  circle.setAttribute("r", radius);
  circle.setAttribute("stroke-width", radius / 5);
  circle.setAttribute("tabindex", "0");
  circle.setAttribute("role", "slider");
  circle.setAttribute("aria-label", readable(name));
  picture.append(circle);
  move(name, circle, points[name]);
  circle.addEventListener("focus", () => { shownName.textContent = readable(name); });
  circle.addEventListener("pointerenter", () => { shownName.textContent = readable(name); });
  circle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    circle.focus();
    circle.setPointerCapture(event.pointerId);
    circle.classList.add("held");
  });
  circle.addEventListener("pointermove", (event) => {
    if (circle.hasPointerCapture(event.pointerId)) move(name, circle, inPicture(event));
  });
  circle.addEventListener("pointerup", (event) => {
    circle.releasePointerCapture(event.pointerId);
    circle.classList.remove("held");
  });
  circle.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 10 : 1;
    const steps = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const by = steps[event.key];
    if (!by) return;
    event.preventDefault();
    move(name, circle, [points[name][0] + by[0], points[name][1] + by[1]]);
  });
}

function readable(name) {
  return name.replaceAll("_", " ");
}

// From the pointer's place on the screen to a pixel of the picture.
function inPicture(event) {
  const at = new DOMPoint(event.clientX, event.clientY);
  const { x, y } = at.matrixTransform(picture.getScreenCTM().inverse());
  return [x, y];
}

function move(name, circle, [x, y]) {
  const kept = [clamped(x, width), clamped(y, height)];
  points[name] = kept;
  circle.setAttribute("cx", kept[0]);
  circle.setAttribute("cy", kept[1]);
  circle.setAttribute("aria-valuetext", `${kept[0]}, ${kept[1]}`);
}

function clamped(value, most) {
  return Math.round(Math.min(Math.max(value, 0), most) * 10) / 10;
}

// The points go in a header: no page of another site can send one here.
async function send(path, headers) {
  told.textContent = "";
  try {
    const reply = await fetch(path, { method: "POST", headers });
    told.textContent = (await reply.json()).told;
    if (reply.ok) for (const button of document.querySelectorAll("button")) button.disabled = true;
  } catch {
    told.textContent = "locum doesn't answer any more. Start it again with --edit.";
  }
}

document.getElementById("save").addEventListener("click", () => {
  send("save", { "Locum-Points": JSON.stringify({ points }) });
});
document.getElementById("cancel").addEventListener("click", () => send("cancel", { "Locum-Points": "{}" }));
