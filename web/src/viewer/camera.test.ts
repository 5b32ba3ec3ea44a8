import { expect, it } from "vitest";
import { edges, fitted, panned, project, unproject, zoomed, type Point } from "./camera";
import { madeFrame } from "./frames_made";
import { PLANES, toWorld, type V3 } from "./geometry";

const frame = madeFrame();
const size = { width: 600, height: 400 };
const close = (a: readonly number[], b: readonly number[]): void => a.forEach((n, at) => expect(n).toBeCloseTo(b[at]!, 6));

it.each(PLANES)("a point of the %s pane is a point of the patient and back", (name) => {
  const camera = fitted(frame, frame.planes[name], size);
  for (const at of [[0, 0], [123, 45], [600, 400]] as Point[]) close(project(camera, frame.planes[name], size, unproject(camera, frame.planes[name], size, at)), at);
});

it.each(PLANES)("all of the %s plane is in its pane, whatever the pane's form", (name) => {
  for (const pane of [size, { width: 100, height: 900 }, { width: 900, height: 100 }])
    for (const corner of [[0, 0, 0], [9, 11, 7], [0, 11, 0], [9, 0, 7]] as V3[]) {
      const [x, y] = project(fitted(frame, frame.planes[name], pane), frame.planes[name], pane, toWorld(frame, corner));
      expect(x).toBeGreaterThan(0);
      expect(x).toBeLessThan(pane.width);
      expect(y).toBeGreaterThan(0);
      expect(y).toBeLessThan(pane.height);
    }
});

it("what lies under the mouse stays there while the picture comes nearer, and follows a hand that pans", () => {
  const plane = frame.planes.coronal;
  const camera = fitted(frame, plane, size);
  const still: Point = [410, 77];
  const under = unproject(camera, plane, size, still);
  const nearer = zoomed(camera, plane, size, 1.7, still);
  expect(nearer.scale).toBeLessThan(camera.scale);
  close(project(nearer, plane, size, under), still);
  close(project(panned(camera, plane, size, still, [50, 60]), plane, size, under), [50, 60]);
});

it("nobody zooms into nothing or out of sight", () => {
  const camera = fitted(frame, frame.planes.axial, size);
  expect(zoomed(camera, frame.planes.axial, size, 1e9, [0, 0]).scale).toBeGreaterThanOrEqual(2);
  expect(zoomed(camera, frame.planes.axial, size, 1e-9, [0, 0]).scale).toBeLessThanOrEqual(2000);
});

it("the letters at the edges are left, right, top, bottom", () => {
  expect(edges(frame.planes.axial)).toEqual(["R", "L", "A", "P"]);
});
