import { expect, it } from "vitest";
import { Labels } from "../viewer/labels";
import { layOver } from "./reading";

it("what two hands changed apart from each other is all kept, and mine wins where both did", () => {
  const loaded = new Uint8Array(8 * 8 * 6);
  const hand = (strokes: [number, number, number][], label: number): Labels => {
    const labels = new Labels([8, 8, 6], [1, 1, 1], loaded.slice());
    labels.begin("stroke");
    for (const at of strokes) labels.paint(at, 2, { radiusMm: 0.5, sphere: false, range: null }, label, null);
    labels.end();
    return labels;
  };
  const theirs = hand([[1, 1, 2], [5, 5, 3]], 1).voxels;
  const mine = hand([[5, 5, 3], [6, 6, 4], [1, 6, 2]], 2);
  const planes = mine.takeDirty()!;
  layOver(theirs, planes);
  const at = (i: number, j: number, k: number): number => theirs[i + 8 * (j + 8 * k)]!;
  expect([at(1, 1, 2), at(5, 5, 3), at(6, 6, 4), at(1, 6, 2)]).toEqual([1, 2, 2, 2]);
  expect(theirs.filter((label) => label !== 0).length).toBe(4);
  expect(planes.voxels).toEqual(theirs.slice(2 * 64, 5 * 64));
});

it("of two saves that wait, the later lies over the earlier, not over what was before it", () => {
  const labels = new Labels([8, 8, 6], [1, 1, 1], new Uint8Array(8 * 8 * 6));
  const stroke = (at: [number, number, number]): void => {
    labels.begin("stroke");
    labels.paint(at, 2, { radiusMm: 0.5, sphere: false, range: null }, 3);
    labels.end();
  };
  stroke([1, 1, 2]);
  const first = labels.takeDirty()!;
  stroke([4, 4, 2]);
  const second = labels.takeDirty()!;
  const theirs = new Uint8Array(8 * 8 * 6);
  theirs[6 + 8 * (6 + 8 * 2)] = 1;
  layOver(theirs, first);
  layOver(theirs, second);
  expect(second.voxels).toEqual(theirs.slice(2 * 64, 3 * 64));
  expect([...second.voxels].filter((label) => label !== 0).sort()).toEqual([1, 3, 3]);
});
