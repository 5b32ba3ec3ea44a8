// Voxels, millimetres and the three planes. The server speaks RAS+ mm, Cornerstone3D LPS+: only here one becomes the other.
import type { Grid } from "../api/client";

export type V3 = [number, number, number];
export type Index = V3;

export const PLANES = ["axial", "coronal", "sagittal"] as const;
export type PlaneName = (typeof PLANES)[number];

// Radiological: the patient's right is at the left of the screen, seen from the feet and from the front.
const LOOKS: Record<PlaneName, { normal: V3; up: V3 }> = {
  axial: { normal: [0, 0, -1], up: [0, -1, 0] },
  coronal: { normal: [0, -1, 0], up: [0, 0, 1] },
  sagittal: { normal: [1, 0, 0], up: [0, 0, 1] },
};

/** A plane of the grid: `axis` is the array axis it is stacked along; vectors are unit, LPS+, along the grid's own axes. */
export interface Plane {
  name: PlaneName;
  axis: 0 | 1 | 2;
  normal: V3;
  up: V3;
  right: V3;
}

export interface Frame {
  shape: Index;
  spacing: V3;
  origin: V3;
  columns: [V3, V3, V3];
  planes: Record<PlaneName, Plane>;
  voxelMl: number;
}

export const dot = (a: V3, b: V3): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a: V3, b: V3): V3 => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const add = (a: V3, b: V3, by = 1): V3 => [a[0] + by * b[0], a[1] + by * b[1], a[2] + by * b[2]];
export const distance = (a: V3, b: V3): number => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
const scaled = (a: V3, by: number): V3 => [a[0] * by, a[1] * by, a[2] * by];

/** RAS+ ↔ LPS+: the same turn both ways. */
export const turned = (p: V3): V3 => [-p[0], -p[1], p[2]];

export function frameOf(grid: Grid): Frame {
  const a = grid.affine;
  const at = (r: number, c: number): number => a[r]?.[c] ?? 0;
  const spacing = grid.spacing_mm as V3;
  const column = (c: 0 | 1 | 2): V3 => scaled([-at(0, c), -at(1, c), at(2, c)], 1 / spacing[c]);
  const columns: [V3, V3, V3] = [column(0), column(1), column(2)];
  const planes = {} as Record<PlaneName, Plane>;
  const used = new Set<number>();
  for (const name of PLANES) {
    const { normal, up } = LOOKS[name];
    const axis = nearest(columns, normal, used);
    used.add(axis);
    const upAxis = nearest(columns, up, new Set([axis]));
    const n = towards(columns[axis], normal);
    const u = towards(columns[upAxis], up);
    planes[name] = { name, axis, normal: n, up: u, right: cross(u, n) };
  }
  return {
    shape: grid.shape as Index,
    spacing,
    origin: [-at(0, 3), -at(1, 3), at(2, 3)],
    columns,
    planes,
    voxelMl: (spacing[0] * spacing[1] * spacing[2]) / 1000,
  };
}

function nearest(columns: V3[], to: V3, without: Set<number>): 0 | 1 | 2 {
  const free = ([0, 1, 2] as const).filter((axis) => !without.has(axis));
  return free.reduce((best, axis) => (Math.abs(dot(columns[axis]!, to)) > Math.abs(dot(columns[best]!, to)) ? axis : best));
}

const towards = (column: V3, to: V3): V3 => (dot(column, to) < 0 ? scaled(column, -1) : column);

/** LPS+ mm of a (fractional) voxel index. */
export function toWorld(frame: Frame, ijk: V3): V3 {
  let p = frame.origin;
  for (const axis of [0, 1, 2] as const) p = add(p, frame.columns[axis], ijk[axis] * frame.spacing[axis]);
  return p;
}

/** The fractional voxel index of a point in LPS+ mm. */
export function toIndex(frame: Frame, world: V3): V3 {
  const from = add(world, frame.origin, -1);
  return [0, 1, 2].map((axis) => dot(from, frame.columns[axis]!) / frame.spacing[axis]!) as V3;
}

export const rounded = (p: V3): Index => [Math.round(p[0]), Math.round(p[1]), Math.round(p[2])];
export const inside = (shape: Index, p: Index): boolean => p.every((n, axis) => n >= 0 && n < shape[axis]!);
export const clamped = (shape: Index, p: Index): Index =>
  [0, 1, 2].map((axis) => Math.min(Math.max(p[axis]!, 0), shape[axis]! - 1)) as Index;

/** What stands at the ends of a direction: L P H, or R A F. */
export function letter(direction: V3): string {
  const letters: [string, string][] = [["L", "R"], ["P", "A"], ["H", "F"]];
  let best = 0;
  for (const axis of [1, 2]) if (Math.abs(direction[axis]!) > Math.abs(direction[best]!)) best = axis;
  return letters[best]![direction[best]! > 0 ? 0 : 1]!;
}

/** The index step that leads away from the head, to the back, and to the patient's left. */
export function onward(frame: Frame, name: PlaneName): 1 | -1 {
  const plane = frame.planes[name];
  const along = dot(frame.columns[plane.axis], plane.normal) > 0 ? 1 : -1;
  return name === "coronal" ? (-along as 1 | -1) : (along as 1 | -1);
}
