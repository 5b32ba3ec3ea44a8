import { expect, it } from "vitest";
import type { Index } from "./geometry";
import { greys, NOT_YET } from "./scene_flat";

const shape: Index = [3, 4, 5];
const hu = Int16Array.from({ length: 60 }, (_, n) => ((n * 37) % 101) - 50);
const at = (i: number, j: number, k: number): number => hu[i + 3 * (j + 4 * k)]!;
const lookup = { level: 0, width: 255 };
const grey = (value: number): number => new Uint8ClampedArray([value + 127.5])[0]!;

function plane(axis: 0 | 1 | 2, n: number, half = 0): number[] {
  const [a, b] = axis === 0 ? [1, 2] : axis === 1 ? [0, 2] : [0, 1];
  const into = new Uint8ClampedArray(shape[a]! * shape[b]!);
  greys(hu, shape, axis, n, half, lookup, into);
  return [...into];
}

it("a plane across each axis has its own voxels, in the order of the two others", () => {
  expect(plane(2, 3)).toEqual([0, 1, 2, 3].flatMap((j) => [0, 1, 2].map((i) => grey(at(i, j, 3)))));
  expect(plane(1, 2)).toEqual([0, 1, 2, 3, 4].flatMap((k) => [0, 1, 2].map((i) => grey(at(i, 2, k)))));
  expect(plane(0, 1)).toEqual([0, 1, 2, 3, 4].flatMap((k) => [0, 1, 2, 3].map((j) => grey(at(1, j, k)))));
});

it("a slab shows the brightest of its planes, and ends where the CT does", () => {
  const most = (i: number, j: number, ks: number[]): number => Math.max(...ks.map((k) => at(i, j, k)));
  expect(plane(2, 2, 1)).toEqual([0, 1, 2, 3].flatMap((j) => [0, 1, 2].map((i) => grey(most(i, j, [1, 2, 3])))));
  expect(plane(2, 0, 1)).toEqual([0, 1, 2, 3].flatMap((j) => [0, 1, 2].map((i) => grey(most(i, j, [0, 1])))));
});

it("the window's ends are black and white, and what has not come is black in every window", () => {
  const into = new Uint8ClampedArray(3);
  const row = Int16Array.from([-160, 240, NOT_YET]);
  greys(row, [3, 1, 1], 2, 0, 0, { level: 40, width: 400 }, into);
  expect([...into]).toEqual([0, 255, 0]);
  greys(row, [3, 1, 1], 2, 0, 0, { level: -1000, width: 4000 }, into);
  expect(into[2]).toBe(0);
});
