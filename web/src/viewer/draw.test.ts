import { expect, it } from "vitest";
import { colour, perpendicular } from "./draw";
import { dot, type V3 } from "./geometry";

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
