// Frames for tests: a grid whose i runs to the patient's left, j to the back, k to the head, or turned otherwise.
import { frameOf, type Frame, type V3 } from "./geometry";

export function madeFrame(shape: V3 = [10, 12, 8], spacing: V3 = [0.7, 0.7, 2.5], sign: V3 = [1, 1, 1]): Frame {
  const affine = [
    [-sign[0] * spacing[0], 0, 0, 100],
    [0, -sign[1] * spacing[1], 0, 120],
    [0, 0, sign[2] * spacing[2], -400],
    [0, 0, 0, 1],
  ];
  return frameOf({ affine, spacing_mm: spacing, shape, sops: [] });
}
