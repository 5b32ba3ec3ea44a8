import { expect, it } from "vitest";
import { distances, expand } from "./shapes";

it("distances agree with looking everywhere", () => {
  const [w, h, dx, dy] = [9, 7, 0.8, 1.5];
  const mask = Uint8Array.from({ length: w * h }, (_, n) => ((n * 7919) % 11 === 0 ? 1 : 0));
  const found = distances(mask, w, h, dx, dy, 1);
  for (let at = 0; at < w * h; at++) {
    let best = Infinity;
    mask.forEach((v, other) => {
      if (v) best = Math.min(best, Math.hypot(((at % w) - (other % w)) * dx, (Math.floor(at / w) - Math.floor(other / w)) * dy));
    });
    expect(found[at]).toBeCloseTo(best, 4);
  }
});

it("runs tell a box or are refused", () => {
  expect([...expand([2, 3, 1], 6)]).toEqual([0, 0, 1, 1, 1, 0]);
  expect(() => expand([2, 3], 6)).toThrow("5 voxels");
});
