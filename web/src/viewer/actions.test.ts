import { beforeEach, expect, it, vi } from "vitest";
import { act, beside, steer, type Acting } from "./actions";
import { useReading } from "../store/reading";
import type { Reading } from "../api/client";
import { madeFrame } from "./frames_made";
import { PLANES, type V3 } from "./geometry";
import { Labels } from "./labels";
import { keyOf } from "./keys";
import { resetView, useView } from "./view";

const frame = madeFrame([10, 12, 8], [0.7, 0.7, 2.5]);
const event = (key: string, how: Partial<{ shiftKey: boolean; ctrlKey: boolean }> = {}) => ({ key, shiftKey: false, ctrlKey: false, ...how });
let study: Acting;

beforeEach(() => {
  resetView([5, 6, 4]);
  useReading.setState({ reading: null, active: null });
  study = { frame, scene: null, labels: null, editable: true, jump: vi.fn(), ask: vi.fn(), help: vi.fn(), threeD: vi.fn() };
});

it.each(PLANES)("an arrow moves the crosshair one voxel in the %s plane and back, and never out of the grid", (name) => {
  const from: V3 = [5, 6, 4];
  for (const [there, back] of [[[1, 0], [-1, 0]], [[0, 1], [0, -1]]] as [[number, number], [number, number]][]) {
    const to = beside(frame, name, from, there);
    expect(to.map((n, a) => Math.abs(n - from[a]!)).reduce((a, b) => a + b)).toBe(1);
    expect(to[frame.planes[name].axis]).toBe(from[frame.planes[name].axis]);
    expect(beside(frame, name, to, back)).toEqual(from);
  }
  expect(beside(frame, name, [0, 0, 0], [-1, 0]).every((n) => n >= 0)).toBe(true);
});

it("the arrows scroll the plane in hand, with Shift the crosshair, with Ctrl the window", () => {
  useView.getState().set({ plane: "coronal" });
  expect(steer(event("ArrowDown"), frame, null)).toBe(true);
  expect(useView.getState().focus).not.toEqual([5, 6, 4]);
  expect(useView.getState().focus[frame.planes.coronal.axis]).not.toBe(6);
  const { focus, window } = useView.getState();
  steer(event("ArrowRight", { ctrlKey: true }), frame, null);
  expect(useView.getState().focus).toEqual(focus);
  expect(useView.getState().window.width).toBe(window.width + 20);
  steer(event("ArrowRight", { shiftKey: true }), frame, null);
  expect(useView.getState().focus).not.toEqual(focus);
  expect(steer(event("ArrowLeft"), frame, null)).toBe(false);
});

it("windows come by their digits, the slab goes round both ways, and opacity stays within its ends", () => {
  act("2", study);
  expect(useView.getState().window).toEqual({ level: -600, width: 1500 });
  act("t", study);
  expect(useView.getState().slabMm).toBe(5);
  act("T", study);
  act("T", study);
  expect(useView.getState().slabMm).toBe(20);
  for (let n = 0; n < 20; n++) act(".", study);
  expect(useView.getState().opacity).toBe(1);
  for (let n = 0; n < 20; n++) act(",", study);
  expect(useView.getState().opacity).toBe(0);
});

it("a new finding and another type are asked about, never assumed", () => {
  act("n", study);
  expect(study.ask).toHaveBeenCalledWith("new");
  act("y", study);
  expect(study.ask).toHaveBeenCalledTimes(1); // no finding is in hand
  useReading.setState({ active: 2, reading: { findings: [{ number: 2 }] } as unknown as Reading });
  act("y", study);
  expect(study.ask).toHaveBeenLastCalledWith("retype");
});

it("nothing edits what may not be edited", () => {
  const change = vi.fn(() => Promise.resolve(true));
  useReading.setState({ active: 2, reading: { findings: [{ number: 2 }] } as unknown as Reading, change });
  for (const key of ["d", "e", "u", "p", "b", "l", "r", "q", "n", "y", "f", "i", "a", "x", "undo", "redo", "Delete"]) act(key, { ...study, editable: false });
  expect([useView.getState().tool, change.mock.calls.length]).toEqual(["cross", 0]);
  expect(study.ask).not.toHaveBeenCalled();
});

it("Delete removes the measurement that was chosen and no other", () => {
  const change = vi.fn(() => Promise.resolve(true));
  useReading.setState({ change });
  act("Delete", study);
  expect(change).not.toHaveBeenCalled();
  useView.getState().set({ measurement: "m-1" });
  act("Delete", study);
  expect(change).toHaveBeenCalledWith([{ op: "unmeasure", id: "m-1" }]);
  expect(useView.getState().measurement).toBeNull();
});

it("holes are filled in the plane that is in hand", () => {
  const labels = new Labels([5, 5, 5], [1, 1, 1], new Uint8Array(125));
  labels.begin("ring");
  for (let a = 1; a <= 3; a++) for (let b = 1; b <= 3; b++) if (a !== 2 || b !== 2) labels.put(labels.offset([a, 2, b]), 1); // across j: coronal
  labels.end();
  resetView([2, 2, 2]);
  useReading.setState({ active: 1 });
  act("f", { ...study, labels, frame: madeFrame([5, 5, 5], [1, 1, 1]) });
  expect(labels.at([2, 2, 2])).toBe(0);
  useView.getState().set({ plane: "coronal" });
  vi.stubGlobal("window", { clearTimeout, setTimeout: () => 0 });
  act("f", { ...study, labels, frame: madeFrame([5, 5, 5], [1, 1, 1]) });
  vi.unstubAllGlobals();
  expect(labels.at([2, 2, 2])).toBe(1);
});

it("keys are small letters, but for those that mean something else with Shift", () => {
  const of = (key: string, shiftKey: boolean): string => keyOf({ key, shiftKey });
  expect([of("d", false), of("D", false), of("D", true), of("m", false), of("M", true), of("?", true), of("ArrowUp", true)]).toEqual(["d", "d", "d", "m", "M", "?", "ArrowUp"]);
});
