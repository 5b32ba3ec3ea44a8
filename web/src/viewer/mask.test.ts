import { expect, it } from "vitest";
import type { V3 } from "./geometry";
import { borders, extent, planeLabels } from "./mask";

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

// a picture of scattered labels, with some at its edges
const [WIDTH, HEIGHT] = [13, 9];
const scattered = Uint8Array.from({ length: WIDTH * HEIGHT }, (_, n) => [0, 0, 1, 1, 2][(n * n * 31 + n * 7) % 5]!);

it("borders are exactly the sides of pixels where the label ends", () => {
  const at = (x: number, y: number): number => (x < 0 || y < 0 || x >= WIDTH || y >= HEIGHT ? 0 : scattered[x + WIDTH * y]!);
  const wanted: string[] = [];
  for (let y = 0; y < HEIGHT; y++)
    for (let x = 0; x < WIDTH; x++) {
      const label = at(x, y);
      if (label === 0) continue;
      if (at(x, y - 1) !== label) wanted.push(`${label} ${x},${y} ${x + 1},${y}`);
      if (at(x, y + 1) !== label) wanted.push(`${label} ${x},${y + 1} ${x + 1},${y + 1}`);
      if (at(x - 1, y) !== label) wanted.push(`${label} ${x},${y} ${x},${y + 1}`);
      if (at(x + 1, y) !== label) wanted.push(`${label} ${x + 1},${y} ${x + 1},${y + 1}`);
    }
  const found: string[] = [];
  borders(scattered, WIDTH, HEIGHT, (label, x0, y0, x1, y1) => {
    for (let x = x0; x < x1; x++) found.push(`${label} ${x},${y0} ${x + 1},${y0}`);
    for (let y = y0; y < y1; y++) found.push(`${label} ${x0},${y} ${x0},${y + 1}`);
  });
  expect(found.sort()).toEqual(wanted.sort());
});

it("the extent is that of the labels; nothing has none", () => {
  const labels = new Uint8Array(WIDTH * HEIGHT);
  expect(extent(labels, WIDTH, HEIGHT)).toBeNull();
  labels[3 + WIDTH * 2] = 1;
  labels[7 + WIDTH * 5] = 4;
  expect(extent(labels, WIDTH, HEIGHT)).toEqual([3, 2, 8, 6]);
});
