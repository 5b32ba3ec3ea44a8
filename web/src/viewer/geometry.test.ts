import { expect, it } from "vitest";
import { frameOf, letter, toIndex, toWorld, turned, type V3 } from "./geometry";

const grid = (affine: number[][], spacing: V3, shape: V3 = [10, 12, 8]) => ({ affine, spacing_mm: spacing, shape, sops: [] });
// i grows leftwards, j backwards, k upwards: an axial series as scanners write it (RAS+ affine)
const axial = grid([[-0.7, 0, 0, 100], [0, -0.7, 0, 120], [0, 0, 2.5, -400], [0, 0, 0, 1]], [0.7, 0.7, 2.5]);

it("shows axial images radiologically: the patient's right at the left, front above", () => {
  const frame = frameOf(axial);
  const { right, up, axis } = frame.planes.axial;
  expect([letter(right), letter(up), axis]).toEqual(["L", "A", 2]);
  expect([letter(frame.planes.coronal.right), letter(frame.planes.coronal.up), frame.planes.coronal.axis]).toEqual(["L", "H", 1]);
  expect([letter(frame.planes.sagittal.right), letter(frame.planes.sagittal.up), frame.planes.sagittal.axis]).toEqual(["P", "H", 0]);
});

it("does so for a series stored feet first or sagittally, too", () => {
  for (const affine of [
    [[-0.7, 0, 0, 0], [0, -0.7, 0, 0], [0, 0, -2.5, 0], [0, 0, 0, 1]],
    [[0, 0, -0.7, 0], [-0.7, 0, 0, 0], [0, -2.5, 0, 0], [0, 0, 0, 1]],
  ]) {
    const spacing: V3 = [Math.hypot(...affine.slice(0, 3).map((r) => r[0]!)), Math.hypot(...affine.slice(0, 3).map((r) => r[1]!)), Math.hypot(...affine.slice(0, 3).map((r) => r[2]!))];
    const { planes } = frameOf(grid(affine, spacing));
    expect([letter(planes.axial.right), letter(planes.axial.up)]).toEqual(["L", "A"]);
    expect([letter(planes.coronal.right), letter(planes.coronal.up)]).toEqual(["L", "H"]);
    expect([letter(planes.sagittal.right), letter(planes.sagittal.up)]).toEqual(["P", "H"]);
  }
});

it("voxels go to millimetres and back, and to the server's frame", () => {
  const frame = frameOf(axial);
  const back = toIndex(frame, toWorld(frame, [3, 4, 5]));
  back.forEach((n, axis) => expect(n).toBeCloseTo([3, 4, 5][axis]!, 9));
  expect(turned(toWorld(frame, [0, 0, 0]))).toEqual([100, 120, -400]);
});
