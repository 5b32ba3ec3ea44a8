// What every key and button of the viewer does.
import type { Finding } from "../api/client";
import { openSign } from "../report/ReportPanel";
import { useReading } from "../store/reading";
import { saveSoon, takeProposal } from "./editing";
import { clamped, onward, PLANES, rounded, toIndex, toWorld, add, type Frame, type PlaneName, type V3 } from "./geometry";
import { hands } from "./hand";
import type { Labels } from "./labels";
import type { Scene } from "./scene";
import { useView, WINDOWS, type Tool } from "./view";

/** The study that is acted on. */
export interface Acting {
  frame: Frame | null;
  scene: Scene | null;
  labels: Labels | null;
  editable: boolean;
  jump: (finding: Finding) => void;
  /** Ask which type: of a new finding, or of the active one. */
  ask: (what: "new" | "retype") => void;
  help: () => void;
  threeD: () => void;
}

const TOOLS: Record<string, Tool> = {
  c: "cross",
  d: "brush",
  e: "erase",
  u: "bucket",
  p: "point",
  b: "box",
  l: "length",
  r: "bidirectional",
  q: "roi",
};
const EDITS = new Set<string>(["d", "e", "u", "p", "b", "l", "r", "q", "n", "y", "f", "i", "a", "x", "undo", "redo", "Delete"]);
const SLABS = [0, 5, 10, 20];

export const TOOL_WORDS: Record<Tool, string> = {
  cross: "",
  brush: "",
  erase: "",
  bucket: "Click inside an outline, or in tissue of a range of HU (H).",
  point: "Click a lesion: the network proposes its outline.",
  box: "Draw a box round a lesion: the network proposes its outline.",
  length: "Drag a line.",
  bidirectional: "Drag the long axis, then the short one across it.",
  roi: "Draw round a region.",
};

/** Put whatever is begun and not finished out of the hand. */
export function dropAll(tool: Tool): void {
  hands.forEach((hand) => hand.drop());
  useView.getState().set({ proposal: null, draft: null, tool, words: TOOL_WORDS[tool] });
}

/** What was told of the last action is told until the next one; what the tool in hand wants stays. */
export function hush(): void {
  const { words, tool, draft, proposal, asking, set } = useView.getState();
  if (words && !draft && !proposal && !asking && words !== TOOL_WORDS[tool]) set({ words: TOOL_WORDS[tool] });
}

/** Do what a key says, "undo" and "redo" among them. */
export function act(key: string, study: Acting): void {
  const { editable, labels } = study;
  const view = useView.getState();
  if (EDITS.has(key) && (!editable || labels?.painting)) return; // not in the middle of a stroke
  hush();
  const tool = TOOLS[key];
  const window = WINDOWS[key];
  if (tool) dropAll(tool);
  else if (window) view.set({ window: { level: window.level, width: window.width } });
  else if (key === "undo" || key === "redo") stepped(key, labels);
  else if (["j", "k", "a", "x", "n", "y", "s", "Delete"].includes(key)) onReport(key, study);
  else if (["f", "i"].includes(key)) onPlane(key, study);
  else if (["0", "z", "Z"].includes(key)) nearer(key, study.scene, study.frame);
  else if (key === "?") study.help();
  else if (key === "v") study.threeD();
  else look(key);
}

function stepped(key: "undo" | "redo", labels: Labels | null): void {
  const step = key === "undo" ? labels?.undo() : labels?.redo();
  if (step && labels) saveSoon(labels);
  useView.getState().redraw();
}

function look(key: string): void {
  const view = useView.getState();
  const next = (by: number): number => SLABS[(SLABS.indexOf(view.slabMm) + by + SLABS.length) % SLABS.length]!;
  const opacity = (by: number): number => Math.min(1, Math.max(0, Math.round(20 * (view.opacity + by)) / 20));
  const changes: Record<string, () => Parameters<typeof view.set>[0]> = {
    "+": () => ({ cross: !view.cross }),
    o: () => ({ original: !view.original }),
    m: () => ({ overlay: !view.overlay }),
    M: () => ({ filled: !view.filled, overlay: true }),
    ",": () => ({ opacity: opacity(-0.1), filled: true, overlay: true }),
    ".": () => ({ opacity: opacity(0.1), filled: true, overlay: true }),
    g: () => ({ sphere: !view.sphere }),
    h: () => ({ range: view.range ? null : rangeOf(view.window) }),
    t: () => ({ slabMm: next(1) }),
    T: () => ({ slabMm: next(-1) }),
    "[": () => ({ radiusMm: Math.max(0.5, view.radiusMm - 1) }),
    "]": () => ({ radiusMm: Math.min(30, view.radiusMm + 1) }),
  };
  const change = changes[key];
  if (change) view.set(change());
}

const rangeOf = ({ level, width }: { level: number; width: number }): [number, number] => [Math.round(level - width / 2), Math.round(level + width / 2)];

function onReport(key: string, { jump, ask }: Acting): void {
  const view = useView.getState();
  const store = useReading.getState();
  const findings = store.reading?.findings ?? [];
  const at = findings.findIndex((one) => one.number === store.active);
  if (key === "j" || key === "k") {
    const next = findings[(at + (key === "j" ? 1 : findings.length - 1) + findings.length) % findings.length];
    if (next) jump(next);
  } else if (key === "a" || key === "x") {
    if (store.active !== null) void store.change([{ op: "decide", number: store.active, decision: key === "a" ? "accepted" : "rejected" }]);
  } else if (key === "n") ask("new");
  else if (key === "y") {
    if (store.active !== null) ask("retype");
  } else if (key === "s") openSign();
  else if (view.measurement !== null) {
    void store.change([{ op: "unmeasure", id: view.measurement }]);
    view.set({ measurement: null, words: "The measurement is removed." });
  } else view.set({ words: "Choose a measurement in the report first; Delete removes it." });
}

/** Fill holes of, or interpolate through, the plane that is in hand. */
function onPlane(key: string, { labels, frame }: Acting): void {
  const view = useView.getState();
  const { active } = useReading.getState();
  if (!labels || !frame || active === null) return;
  const { axis } = frame.planes[view.plane];
  labels.begin(key === "f" ? "fill" : "interpolate");
  const done = key === "f" ? labels.fillHoles(view.focus[axis], axis, active) : labels.interpolate(axis, active);
  labels.end();
  const nothing = key === "f" ? "No holes in this slice." : "Nothing to interpolate: paint at least two slices with others between them.";
  view.set({ words: done === 0 ? nothing : key === "f" ? `${done} voxels filled in this slice.` : `${done} slices made between painted ones.` });
  if (done > 0) saveSoon(labels);
  view.redraw();
}

const ZOOM = 1.25;

function nearer(key: string, scene: Scene | null, frame: Frame | null): void {
  if (!scene || !frame) return;
  const view = useView.getState();
  const here = toWorld(frame, view.focus);
  if (key === "0")
    for (const name of PLANES) {
      scene.fit(name);
      scene.show(name, view.focus);
    }
  else scene.zoom(view.plane, key === "z" ? ZOOM : 1 / ZOOM, scene.toCanvas(view.plane, here));
  view.redraw();
}

const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Scroll the plane in hand; with Shift move the crosshair in it; with Ctrl the window. Whether the key was one of these. */
export function steer(event: { key: string; shiftKey: boolean; ctrlKey: boolean }, frame: Frame, scene: Scene | null): boolean {
  const view = useView.getState();
  const arrow = ARROWS[event.key];
  if (arrow && event.ctrlKey) {
    const { level, width } = view.window;
    view.set({ window: { level: level + 10 * arrow[1], width: Math.max(1, width + 20 * arrow[0]) } });
  } else if (arrow && event.shiftKey) {
    const focus = beside(frame, view.plane, view.focus, arrow);
    view.set({ focus });
    scene?.reveal(view.plane, toWorld(frame, focus));
  } else if (["ArrowUp", "ArrowDown", "PageUp", "PageDown"].includes(event.key)) {
    const focus = view.focus.slice() as V3;
    const by = (event.key.startsWith("Page") ? 10 : 1) * (event.key.endsWith("Down") ? 1 : -1);
    focus[frame.planes[view.plane].axis] += by * onward(frame, view.plane);
    view.set({ focus: clamped(frame.shape, focus) });
  } else return false;
  return true;
}

/** The neighbouring voxel towards a side of the screen. */
export function beside(frame: Frame, name: PlaneName, from: V3, [right, up]: [number, number]): V3 {
  const plane = frame.planes[name];
  const mm = Math.min(...([0, 1, 2] as const).filter((axis) => axis !== plane.axis).map((axis) => frame.spacing[axis]));
  const most = Math.max(...([0, 1, 2] as const).filter((axis) => axis !== plane.axis).map((axis) => frame.spacing[axis]));
  // along the finer axis a step is a voxel; along the coarser one as well
  for (const step of [mm, most]) {
    const to = add(add(toWorld(frame, from), plane.right, right * step), plane.up, up * step);
    const focus = clamped(frame.shape, rounded(toIndex(frame, to)));
    if (focus.some((n, axis) => n !== from[axis])) return focus;
  }
  return from;
}

/** Enter: take the proposal, or close the region that the keyboard draws. Whether there was one. */
export function confirm(labels: Labels | null): boolean {
  const view = useView.getState();
  if (hands.get(view.plane)?.close()) return true;
  if (!labels || !view.proposal) return false;
  void takeProposal(labels);
  return true;
}

/** Space: what a click at the crosshair would do. */
export function press(): void {
  hands.get(useView.getState().plane)?.press();
}
