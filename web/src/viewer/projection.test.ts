import { expect, it } from "vitest";
import { madeFrame } from "./frames_made";
import { dot, type Frame, type Index } from "./geometry";
import { coarseLabels, coarseShape, fineVoxel, project, sides, solidOf } from "./projection";

const SHAPE: Index = [24, 24, 12];
const frame = madeFrame(SHAPE, [1, 1, 2]);
const at = ([i, j, k]: Index): number => i + SHAPE[0] * (j + SHAPE[1] * k);

function body(low: Index, high: Index, label: number, into: Uint8Array = new Uint8Array(24 * 24 * 12)): Uint8Array {
  for (let k = low[2]; k <= high[2]; k++) for (let j = low[1]; j <= high[1]; j++) for (let i = low[0]; i <= high[0]; i++) into[at([i, j, k])] = label;
  return into;
}

function seen(labels: Uint8Array, around: number, above = 0, of: Frame = frame): { label: number; x: number; y: number }[] {
  const solid = solidOf(of, new Int16Array(labels.length).fill(-1000));
  const coarse = coarseLabels(of, solid, labels, new Set());
  const picture = project(of, solid, coarse, { around, above }, 60, 60);
  return [...picture.hits].flatMap((voxel, n) => (voxel < 0 ? [] : [{ label: coarse[voxel]!, x: n % 60, y: Math.floor(n / 60) }]));
}

const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

it("the sides of a picture stand at right angles, whichever way it is turned", () => {
  for (const turn of [{ around: 0, above: 0 }, { around: 130, above: 40 }, { around: -75, above: -80 }]) {
    const { right, up, into } = sides(turn);
    for (const [a, b] of [[right, up], [right, into], [up, into]] as const) expect(dot(a, b)).toBeCloseTo(0, 9);
    for (const v of [right, up, into]) expect(dot(v, v)).toBeCloseTo(1, 9);
    expect(up[2]).toBeGreaterThan(0);
  }
});

it("from the front the patient's left is at the right, the head above; from behind it is the other way round", () => {
  const left = body([18, 10, 9], [21, 13, 11], 3); // i runs to the left, k to the head
  expect(mean(seen(left, 0).map(({ x }) => x))).toBeGreaterThan(32);
  expect(mean(seen(left, 0).map(({ y }) => y))).toBeLessThan(25);
  expect(mean(seen(left, 180).map(({ x }) => x))).toBeLessThan(28);
});

it("so it is in a grid that runs to the right and to the feet", () => {
  const turned = madeFrame(SHAPE, [1, 1, 2], [-1, 1, -1]);
  const left = body([2, 10, 0], [5, 13, 2], 3);
  expect(mean(seen(left, 0, 0, turned).map(({ x }) => x))).toBeGreaterThan(32);
  expect(mean(seen(left, 0, 0, turned).map(({ y }) => y))).toBeLessThan(25);
});

it("what is in front hides what is behind", () => {
  const both = body([8, 16, 4], [15, 19, 7], 2, body([8, 3, 4], [15, 6, 7], 1)); // j runs to the back
  expect(new Set(seen(both, 0).map(({ label }) => label))).toEqual(new Set([1]));
  expect(new Set(seen(both, 180).map(({ label }) => label))).toEqual(new Set([2]));
});

it("a click on a finding leads to a voxel of it", () => {
  const labels = body([4, 5, 6], [8, 9, 9], 1);
  const solid = solidOf(frame, new Int16Array(labels.length));
  const coarse = coarseLabels(frame, solid, labels, new Set());
  const picture = project(frame, solid, coarse, { around: 30, above: 20 }, 50, 50);
  const hits = [...picture.hits].filter((voxel) => voxel >= 0);
  expect(hits.length).toBeGreaterThan(10);
  for (const voxel of hits) expect(labels[at(fineVoxel(frame, solid, voxel, labels, 1))]).toBe(1);
});

it("bone is bright and soft tissue is not, findings that are left out are not there, and all is whole", () => {
  const bone = new Int16Array(24 * 24 * 12).fill(40);
  bone[at([12, 12, 6])] = 900;
  const solid = solidOf(frame, bone);
  expect(solid.bright.reduce((most, n) => Math.max(most, n), 0)).toBeGreaterThan(150);
  expect(solid.bright.filter((n) => n > 0)).toHaveLength(1);
  expect(coarseLabels(frame, solid, body([1, 1, 1], [9, 9, 9], 4), new Set([4])).some((n) => n > 0)).toBe(false);
  const large = coarseShape(madeFrame([512, 512, 300], [0.8, 0.8, 1]));
  expect(Math.max(...large.shape)).toBeLessThanOrEqual(176);
  expect(coarseShape(madeFrame([1, 1, 1], [1, 1, 5])).shape).toEqual([1, 1, 1]);
});

it("labels are found whatever their number of voxels is, and wherever they begin", () => {
  const odd = madeFrame([5, 3, 3], [1, 1, 1]); // 45 voxels
  const solid = solidOf(odd, new Int16Array(45));
  const room = new Uint8Array(46);
  for (const labels of [room.subarray(0, 45), room.subarray(1)]) {
    labels.fill(0);
    for (const n of [0, 7, 44]) labels[n] = 9;
    expect([...coarseLabels(odd, solid, labels, new Set())].flatMap((label, n) => (label === 9 ? [n] : []))).toEqual([0, 7, 44]);
  }
});
