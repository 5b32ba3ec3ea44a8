import { describe, expect, it } from "vitest";
import { Labels, type Brush } from "./labels";
import type { V3 } from "./geometry";

const shape: V3 = [20, 18, 12];
const fresh = (hu: Int16Array | null = null): Labels => new Labels(shape, [1, 1, 2], new Uint8Array(20 * 18 * 12), hu);
const disc: Brush = { radiusMm: 3, sphere: false, range: null };

describe("the mask", () => {
  it("goes back and forth by exactly one step per action, for any order of actions", () => {
    const labels = fresh();
    const states = [labels.voxels.slice()];
    for (let n = 0; n < 8; n++) {
      labels.begin(`stroke ${n}`);
      const from: V3 = [3 + n, 4 + (n % 5), 2 + n];
      labels.stroke(from, [from[0] + 6, from[1] + 3, from[2]], 2, { ...disc, sphere: n % 2 === 1 }, n % 3 === 2 ? 0 : 1 + (n % 2));
      if (labels.end()) states.push(labels.voxels.slice());
    }
    expect(labels.undoable).toBe(states.length - 1);
    for (let n = states.length - 2; n >= 0; n--) {
      labels.undo();
      expect(labels.voxels).toEqual(states[n]);
    }
    expect(labels.undo()).toBeNull();
    for (let n = 1; n < states.length; n++) {
      labels.redo();
      expect(labels.voxels).toEqual(states[n]);
    }
    expect(labels.redo()).toBeNull();
    for (const label of [1, 2]) {
      expect(labels.counts.get(label) ?? 0).toBe(labels.voxels.filter((v) => v === label).length);
    }
  });

  it("forgets what was undone when something new is painted", () => {
    const labels = fresh();
    for (const x of [4, 14]) {
      labels.begin("stroke");
      labels.paint([x, 9, 5], 2, disc, 1);
      labels.end();
    }
    labels.undo();
    labels.begin("stroke");
    labels.paint([9, 9, 5], 2, disc, 1);
    labels.end();
    expect(labels.redoable).toBe(0);
    expect(labels.undoable).toBe(2);
  });

  it("has no step for an action that changes nothing", () => {
    const labels = fresh();
    labels.begin("erase");
    labels.paint([9, 9, 5], 2, disc, 0);
    expect(labels.end()).toBeNull();
    expect(labels.undoable).toBe(0);
  });

  it("paints a disc in its plane and a ball by millimetres", () => {
    const labels = fresh();
    labels.begin("disc");
    labels.paint([9, 9, 5], 2, disc, 1);
    labels.end();
    expect(labels.dirty).toEqual([5, 5]);
    expect(labels.at([12, 9, 5])).toBe(1);
    expect(labels.at([13, 9, 5])).toBe(0);
    labels.begin("ball");
    labels.paint([9, 9, 5], 2, { ...disc, sphere: true }, 1);
    labels.end();
    expect(labels.at([9, 9, 6])).toBe(1); // 2 mm away
    expect(labels.at([9, 9, 7])).toBe(0); // 4 mm away
  });

  it("paints only the wished HU, and never over another finding", () => {
    const hu = new Int16Array(20 * 18 * 12).fill(-50);
    const labels = fresh(hu);
    hu[labels.offset([9, 9, 5])] = 60;
    labels.begin("threshold");
    labels.paint([9, 9, 5], 2, { ...disc, range: [0, 100] }, 1);
    labels.end();
    expect(labels.counts.get(1)).toBe(1);
    labels.begin("other");
    labels.paint([9, 9, 5], 2, disc, 2);
    labels.end();
    expect(labels.at([9, 9, 5])).toBe(1);
  });

  it("fills what is enclosed and nothing else", () => {
    const labels = fresh();
    labels.begin("ring");
    labels.paint([9, 9, 5], 2, { ...disc, radiusMm: 5 }, 1);
    labels.paint([9, 9, 5], 2, { ...disc, radiusMm: 2 }, 0, 1);
    labels.end();
    const whole = fresh();
    whole.begin("disc");
    whole.paint([9, 9, 5], 2, { ...disc, radiusMm: 5 }, 1);
    whole.end();
    labels.begin("fill");
    expect(labels.fillHoles(5, 2, 1)).toBeGreaterThan(0);
    labels.end();
    expect(labels.voxels).toEqual(whole.voxels);
  });

  it("interpolates between two planes: equal shapes give the same, sizes between", () => {
    const labels = fresh();
    labels.begin("ends");
    labels.paint([9, 9, 2], 2, { ...disc, radiusMm: 2 }, 1);
    labels.paint([9, 9, 8], 2, { ...disc, radiusMm: 6 }, 1);
    labels.end();
    labels.begin("interpolate");
    expect(labels.interpolate(2, 1)).toBe(5);
    labels.end();
    const plane = 20 * 18;
    const sizes = [2, 3, 4, 5, 6, 7, 8].map((k) => labels.voxels.slice(k * plane, (k + 1) * plane).filter((v) => v).length);
    expect([...sizes].sort((a, b) => a - b)).toEqual(sizes);
    labels.undo();
    expect(labels.voxels.slice(5 * plane, 6 * plane).some((v) => v)).toBe(false);
  });

  it.each([0, 1, 2] as const)("interpolates across axis %i, up to the edge of the grid", (axis) => {
    const labels = fresh();
    const at = (n: number): [number, number, number] => [1, 1, 1].map((one, a) => (a === axis ? n : one)) as [number, number, number];
    labels.begin("ends");
    labels.paint(at(0), axis, { ...disc, radiusMm: 3 }, 1);
    labels.paint(at(6), axis, { ...disc, radiusMm: 3 }, 1);
    labels.end();
    const painted = labels.counts.get(1)!;
    labels.begin("interpolate");
    expect(labels.interpolate(axis, 1)).toBe(5);
    labels.end();
    expect(labels.counts.get(1)).toBe((painted / 2) * 7);
    expect(labels.at(at(7))).toBe(0);
  });

  it("tells of a stroke that is going on, and takes back planes that were not kept", () => {
    const labels = fresh();
    expect(labels.painting).toBe(false);
    labels.begin("stroke");
    labels.paint([9, 9, 3], 2, disc, 1);
    expect(labels.painting).toBe(true);
    labels.end();
    expect(labels.painting).toBe(false);
    const taken = labels.takeDirty()!;
    labels.begin("stroke");
    labels.paint([9, 9, 7], 2, disc, 1);
    labels.paint([2, 2, 3], 2, disc, 1);
    labels.end();
    labels.giveBack(taken);
    expect(labels.dirty).toEqual([3, 7]);
    expect(labels.takeDirty()!.mine).toEqual(labels.voxels.slice(3 * 360, 8 * 360)); // all that was painted, both times
  });

  it("gives the painted planes to save once", () => {
    const labels = fresh();
    labels.begin("stroke");
    labels.stroke([3, 3, 2], [12, 12, 6], 2, disc, 1);
    labels.end();
    const taken = labels.takeDirty();
    expect([taken?.first, taken?.last]).toEqual([2, 6]);
    expect(taken?.voxels).toEqual(labels.voxels.slice(2 * 360, 7 * 360));
    expect(labels.takeDirty()).toBeNull();
  });
});
