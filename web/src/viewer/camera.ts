// What a pane looks at: pure geometry, the same whoever draws the picture.
import { add, dot, letter, toWorld, type Frame, type Plane, type V3 } from "./geometry";

/** The point of the patient in the middle of a pane, LPS+ mm, and half the pane's height in mm. */
export interface Camera {
  focal: V3;
  scale: number;
}

export interface Size {
  width: number;
  height: number;
}

export type Point = [number, number];

const RIM = 1.04;
const LEAST_SCALE = 2;
const MOST_SCALE = 2000;

/** A camera that has the whole grid in the pane, with a rim. */
export function fitted(frame: Frame, plane: Plane, { width, height }: Size): Camera {
  const last = frame.shape.map((n) => n - 1) as V3;
  const focal = toWorld(frame, last.map((n) => n / 2) as V3);
  const reach = (direction: V3): number =>
    [0, 1, 2].reduce((mm, axis) => mm + Math.abs(dot(frame.columns[axis]!, direction)) * frame.shape[axis]! * frame.spacing[axis]!, 0) / 2;
  return { focal, scale: RIM * Math.max(reach(plane.up), (reach(plane.right) * height) / Math.max(width, 1)) };
}

/** Millimetres that a pixel of the pane is wide. */
export const mmOfPixel = (camera: Camera, { height }: Size): number => (2 * camera.scale) / Math.max(height, 1);

export function project(camera: Camera, plane: Plane, size: Size, world: V3): Point {
  const off = add(world, camera.focal, -1);
  const mm = mmOfPixel(camera, size);
  return [size.width / 2 + dot(off, plane.right) / mm, size.height / 2 - dot(off, plane.up) / mm];
}

export function unproject(camera: Camera, plane: Plane, size: Size, [x, y]: Point): V3 {
  const mm = mmOfPixel(camera, size);
  return add(add(camera.focal, plane.right, (x - size.width / 2) * mm), plane.up, (size.height / 2 - y) * mm);
}

/** Nearer or farther; the point of the patient under `still` stays where it is. */
export function zoomed(camera: Camera, plane: Plane, size: Size, by: number, still: Point): Camera {
  const before = unproject(camera, plane, size, still);
  const nearer = { ...camera, scale: Math.min(Math.max(camera.scale / by, LEAST_SCALE), MOST_SCALE) };
  const after = unproject(nearer, plane, size, still);
  return { ...nearer, focal: add(nearer.focal, add(before, after, -1)) };
}

/** What lies under `from` comes to lie under `to`. */
export function panned(camera: Camera, plane: Plane, size: Size, from: Point, to: Point): Camera {
  return { ...camera, focal: add(camera.focal, add(unproject(camera, plane, size, from), unproject(camera, plane, size, to), -1)) };
}

/** Letters at the four edges: left, right, top, bottom. */
export function edges({ right, up }: Pick<Plane, "right" | "up">): [string, string, string, string] {
  const minus = (v: V3): V3 => [-v[0], -v[1], -v[2]];
  return [letter(minus(right)), letter(right), letter(up), letter(minus(up))];
}
