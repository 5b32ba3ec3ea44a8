import { expect, it } from "vitest";
import { bucket, REACH_MM } from "./bucket";
import type { Index, V3 } from "./geometry";
import { Labels } from "./labels";

const SIDE = 20;

function ring(spacing: V3 = [1, 1, 1], gap = false): Labels {
  const labels = new Labels([SIDE, SIDE, 3], spacing, new Uint8Array(SIDE * SIDE * 3), new Int16Array(SIDE * SIDE * 3).fill(50));
  labels.begin("ring");
  for (let n = 5; n <= 15; n++) for (const ijk of [[n, 5, 1], [n, 15, 1], [5, n, 1], [15, n, 1]] as Index[]) labels.put(labels.offset(ijk), 2);
  if (gap) labels.put(labels.offset([10, 5, 1]), 0);
  labels.end();
  return labels;
}

function fill(labels: Labels, from: Index, range: [number, number] | null = null, axis: 0 | 1 | 2 = 2): ReturnType<typeof bucket> {
  labels.begin("bucket");
  const told = bucket(labels, from, axis, 2, range);
  labels.end();
  return told;
}

it("what an outline encloses is filled, in its plane alone, as one step", () => {
  const labels = ring();
  const before = labels.counts.get(2)!;
  expect(fill(labels, [10, 10, 1]).filled).toBe(81);
  expect(labels.counts.get(2)).toBe(before + 81);
  expect([labels.at([10, 10, 0]), labels.at([10, 10, 2]), labels.at([3, 3, 1])]).toEqual([0, 0, 0]);
  labels.undo();
  expect(labels.counts.get(2)).toBe(before);
});

it("an outline with a gap fills nothing, and says why", () => {
  const labels = ring([1, 1, 1], true);
  const told = fill(labels, [10, 10, 1]);
  expect([told.filled, labels.at([10, 10, 1])]).toEqual([0, 0]);
  expect(told.words).toContain("Nothing encloses");
  expect(labels.undoable).toBe(1); // the ring's own
});

it("with a range of HU tissue is filled up to where it ends, another finding's voxels never", () => {
  const labels = ring([1, 1, 1], true);
  for (let n = 2; n <= 7; n++) labels.hu![labels.offset([n, 2, 1])] = 90;
  labels.begin("other");
  labels.put(labels.offset([5, 2, 1]), 7);
  labels.end();
  expect(fill(labels, [3, 2, 1], [80, 100]).filled).toBe(3);
  expect([2, 3, 4, 5, 6].map((n) => labels.at([n, 2, 1]))).toEqual([2, 2, 2, 7, 0]);
  expect(fill(labels, [10, 10, 1], [80, 100])).toEqual({ filled: 0, words: "That is not within 80 to 100 HU." });
});

it("what goes on for too far is left alone, and a click on paint or outside changes nothing", () => {
  expect(fill(ring([REACH_MM / 3, 1, 1]), [10, 10, 1]).filled).toBe(0);
  expect(fill(ring(), [5, 5, 1]).filled).toBe(0);
  expect(fill(ring(), [-1, 5, 1]).filled).toBe(0);
});
