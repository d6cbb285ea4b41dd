// The microphone and camera buttons, as they are at the door, in the lobby and in the call.

import { say } from "./dom.js";
import { generation } from "./generation.js";

const KINDS = {
  microphone: { on: "mic_on", off: "mic_off", problem: "mic_problem", key: "d", icon: "mic" },
  camera: { on: "camera_on", off: "camera_off", problem: "camera_problem", key: "e", icon: "videocam" },
};

function shortcut(key) {
  return generation.shortcuts ? ` (${say("ctrl")} + ${key})` : "";
}

function showToggle(control, kind, devices) {
  const { on, off, problem, key, icon } = KINDS[kind];
  if (!devices.pending && !devices.can(kind)) {
    control.show({ label: say(problem), icon: `${icon}_off`, muted: true });
    return;
  }
  const is = devices[kind];
  control.show({ label: say(is ? off : on) + shortcut(key), icon: is ? icon : `${icon}_off`, muted: !is });
}

let current = null;

/** The two buttons; a press tells the devices, and the server once it knows us. */
export function toggles(devices, wire = null) {
  const switchIt = (kind) => {
    if (!devices.pending && !devices.can(kind)) return;
    devices.set(kind, !devices[kind]);
    wire?.send({ type: kind, on: devices[kind] });
  };
  const controls = {};
  for (const kind of Object.keys(KINDS)) {
    controls[kind] = generation.control(kind, () => switchIt(kind));
  }
  devices.changed = () => {
    for (const kind of Object.keys(KINDS)) showToggle(controls[kind], kind, devices);
  };
  devices.changed();
  current = switchIt;
  return Object.values(controls).map((control) => control.root);
}

document.addEventListener("keydown", (event) => {
  const kind = Object.keys(KINDS).find((each) => KINDS[each].key === event.key);
  if (event.ctrlKey && !event.shiftKey && !event.altKey && kind !== undefined && current !== null) {
    event.preventDefault();
    current(kind);
  }
});
