import { beforeEach, expect, it, vi } from "vitest";
import type { Reading } from "../api/client";
import { useReading } from "../store/reading";
import { madeFrame } from "./frames_made";
import { distance, toIndex, toWorld, type V3 } from "./geometry";
import { Hand, type Doing, type Layers } from "./hand";
import { Labels } from "./labels";
import type { Scene } from "./scene";
import { resetView, useView, type Draft, type Tool } from "./view";

const frame = madeFrame([40, 40, 5], [1, 1, 2]);
const { axial } = frame.planes;
let labels: Labels;
let told: { strokes: number; points: V3[]; boxes: [V3, V3][]; measured: Draft[] };
let hand: Hand;

/** A pane of one pixel a millimetre, its corner at the grid's first voxel. */
const scene = {
  toCanvas: (_: string, world: V3) => toIndex(frame, world).slice(0, 2),
  toWorld: (_: string, [x, y]: [number, number]) => toWorld(frame, [x, y, useView.getState().focus[2]]),
  pan: vi.fn(),
} as unknown as Scene;

beforeEach(() => {
  resetView([10, 12, 2]);
  labels = new Labels(frame.shape, frame.spacing, new Uint8Array(8000), new Int16Array(8000).fill(40));
  told = { strokes: 0, points: [], boxes: [], measured: [] };
  useReading.setState({ active: 3, reading: { findings: [] } as unknown as Reading });
  const doing: Doing = {
    onStroke: () => told.strokes++,
    onPoint: (ijk) => told.points.push(ijk),
    onBox: (from, to) => told.boxes.push([from, to]),
    onMeasure: (draft) => told.measured.push(draft),
  };
  const layers: Layers = { frame, hu: labels.hu!, labels, original: null, editable: true };
  hand = new Hand({ name: "axial", scene, layers }, doing);
});

const take = (tool: Tool): void => useView.getState().set({ tool, draft: null });
const walk = (i: number, j: number): void => {
  useView.getState().set({ focus: [i, j, 2] });
  hand.follow();
};

it("Space paints at the crosshair, one step a press, and the eraser takes it away", () => {
  take("brush");
  hand.press();
  expect(labels.at([10, 12, 2])).toBe(3);
  expect([labels.undoable, told.strokes]).toEqual([1, 1]);
  take("erase");
  hand.press();
  expect(labels.counts.get(3)).toBe(0);
});

it("a length is begun and ended by Space, and follows the crosshair between", () => {
  take("length");
  hand.press();
  walk(20, 12);
  expect(distance(...(useView.getState().draft!.points as [V3, V3]))).toBeCloseTo(10, 6);
  hand.press();
  expect(told.measured).toHaveLength(1);
  expect(distance(...(told.measured[0]!.points as [V3, V3]))).toBeCloseTo(10, 6);
  expect(useView.getState().draft).toBeNull();
});

it("RECIST takes four presses, and its short axis stands at a right angle", () => {
  take("bidirectional");
  hand.press();
  walk(30, 12);
  hand.press();
  expect(told.measured).toHaveLength(0);
  walk(20, 8);
  hand.press();
  walk(22, 18);
  hand.press();
  const [a, b, p, q] = told.measured[0]!.points as [V3, V3, V3, V3];
  expect([distance(a, b), distance(p, q)].map((mm) => Math.round(mm))).toEqual([20, 10]);
  expect((b[0] - a[0]) * (q[0] - p[0]) + (b[1] - a[1]) * (q[1] - p[1])).toBeCloseTo(0, 6);
});

it("a region has a corner for every Space, and Enter closes it; fewer than three are none", () => {
  take("roi");
  hand.press();
  for (const [i, j] of [[20, 12], [20, 22], [10, 22]] as const) {
    walk(i, j);
    hand.press();
  }
  expect(hand.close()).toBe(true);
  expect(told.measured[0]!.points.length).toBeGreaterThanOrEqual(4);
  hand.press();
  hand.close();
  expect([told.measured.length, hand.close()]).toEqual([1, false]);
});

it("point and box ask the network by keyboard as well", () => {
  take("point");
  hand.press();
  expect(told.points).toEqual([[10, 12, 2]]);
  take("box");
  hand.press();
  walk(18, 20);
  hand.press();
  expect(told.boxes[0]!.map((p) => p.map(Math.round))).toEqual([[10, 12, 2], [18, 20, 2]]);
});

it("a click of the length's tool without a drag measures nothing", () => {
  take("length");
  hand.down([5, 5], "length");
  hand.up();
  expect([told.measured.length, useView.getState().draft]).toEqual([0, null]);
});

it("panning in the middle of a measurement leaves it open", () => {
  take("bidirectional");
  hand.down([5, 5], "bidirectional");
  hand.move([25, 5]);
  hand.up();
  hand.down([9, 9], "pan");
  hand.move([12, 12]);
  hand.up();
  expect(useView.getState().draft?.points).toHaveLength(2);
  expect(told.measured).toHaveLength(0);
});

it("without a finding in hand nothing is painted, and it is said", () => {
  useReading.setState({ active: null });
  take("brush");
  hand.press();
  expect([labels.undoable, told.strokes]).toEqual([0, 0]);
  expect(useView.getState().words).toContain("N");
});

it("a brush that finds none of its HU says so", () => {
  take("brush");
  useView.getState().set({ range: [300, 400] });
  hand.press();
  expect(labels.undoable).toBe(0);
  expect(useView.getState().words).toContain("300 to 400 HU");
});

it("the crosshair of a plane goes where the hand is, on that plane's slice", () => {
  hand.down([7, 9], "cross");
  expect(useView.getState().focus).toEqual([7, 9, 2]);
  expect(axial.axis).toBe(2);
});
