import { expect, it } from "vitest";
import { colour, perpendicular, planeLabels } from "./draw";
import { dot, type V3 } from "./geometry";

it.each([0, 1, 2] as const)("a plane across axis %i holds the voxels of the grid", (axis) => {
  const shape: V3 = [3, 4, 5];
  const voxels = Uint8Array.from({ length: 60 }, (_, n) => n);
  const { labels, width, height } = planeLabels(voxels, shape, axis, 2);
  const [a, b] = [0, 1, 2].filter((one) => one !== axis) as [number, number];
  expect([width, height]).toEqual([shape[a], shape[b]]);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const ijk = [2, 2, 2];
      ijk[a] = x;
      ijk[b] = y;
      expect(labels[x + width * y]).toBe(voxels[ijk[0]! + 3 * (ijk[1]! + 4 * ijk[2]!)]);
    }
});

it("the short axis stands at a right angle on the long one, wherever the hand goes", () => {
  const [a, b, normal]: [V3, V3, V3] = [[0, 0, 0], [10, 5, 0], [0, 0, 1]];
  for (const [from, to] of [[[2, 8, 0], [9, -7, 0]], [[-5, 3, 0], [1, 1, 0]]] as [V3, V3][]) {
    const [p, q] = perpendicular(a, b, from, to, normal);
    expect(dot([q[0] - p[0], q[1] - p[1], q[2] - p[2]], [10, 5, 0])).toBeCloseTo(0, 9);
  }
});

it("neighbouring findings have colours that are told apart", () => {
  for (let n = 1; n < 20; n++) {
    const [p, q] = [colour(n), colour(n + 1)];
    expect(Math.abs(p[0] - q[0]) + Math.abs(p[1] - q[1]) + Math.abs(p[2] - q[2])).toBeGreaterThan(150);
  }
});
