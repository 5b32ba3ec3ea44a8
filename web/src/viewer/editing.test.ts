import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { useReading } from "../store/reading";
import { boxAround, forgetStrokes, freeNumber, saveNow, saveSoon, unsaved } from "./editing";
import { Labels } from "./labels";

const painted = (): Labels => {
  const labels = new Labels([8, 8, 6], [1, 1, 1], new Uint8Array(8 * 8 * 6));
  labels.begin("stroke");
  labels.paint([4, 4, 2], 2, { radiusMm: 1, sphere: false, range: null }, 1);
  labels.end();
  return labels;
};

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("window", globalThis);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  useReading.setState(useReading.getInitialState());
});

it("saves a moment after the last stroke, once", async () => {
  const saveMask = vi.fn(() => Promise.resolve(true));
  useReading.setState({ saveMask });
  const labels = painted();
  saveSoon(labels);
  await vi.advanceTimersByTimeAsync(600);
  saveSoon(labels);
  await vi.advanceTimersByTimeAsync(600);
  expect(saveMask).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(200);
  expect(saveMask).toHaveBeenCalledTimes(1);
  expect(saveMask).toHaveBeenCalledWith(expect.objectContaining({ first: 2, last: 2 }));
  expect(unsaved(labels)).toBe(false);
});

it("keeps planes that the server refused for the next save", async () => {
  useReading.setState({ saving: "refused", saveMask: () => Promise.resolve(false) });
  const labels = painted();
  await saveNow(labels);
  expect(labels.dirty).toEqual([2, 2]);
  expect(unsaved(labels)).toBe(true);
});

it("leaves planes to the store's queue while the server is away or another's version is asked about", async () => {
  const labels = painted();
  for (const saving of ["offline", "conflict"] as const) {
    labels.giveBack(2, 2);
    useReading.setState({ saving, saveMask: () => Promise.resolve(false) });
    await saveNow(labels);
    expect(labels.dirty).toBeNull();
    expect(unsaved(labels)).toBe(true);
  }
});

it("sends nothing of strokes that were given up", async () => {
  const saveMask = vi.fn(() => Promise.resolve(true));
  useReading.setState({ saveMask });
  const labels = painted();
  saveSoon(labels);
  forgetStrokes(labels);
  await vi.advanceTimersByTimeAsync(5000);
  await saveNow(labels);
  expect(saveMask).not.toHaveBeenCalled();
});

it("gives the lowest number that no finding has", () => {
  const findings = [1, 2, 4].map((number) => ({ number }));
  useReading.setState({ reading: { findings } as never });
  expect(freeNumber()).toBe(3);
  useReading.setState({ reading: { findings: Array.from({ length: 255 }, (_, n) => ({ number: n + 1 })) } as never });
  expect(freeNumber()).toBeNull();
});

it.each([0, 1, 2] as const)("a box drawn across axis %i is inside the grid, and never empty", (axis) => {
  for (const [from, to] of [
    [[1, 1, 1], [6, 6, 6]],
    [[-30, -30, -30], [-20, -20, -20]],
    [[50, 50, 50], [60, 60, 60]],
    [[7, 7, 7], [0, 0, 0]],
  ] as [[number, number, number], [number, number, number]][]) {
    const [low, high] = boxAround(from, to, axis, [1, 2, 5], [8, 8, 8]);
    for (const a of [0, 1, 2] as const) {
      expect(low[a]).toBeGreaterThanOrEqual(0);
      expect(high[a]).toBeLessThanOrEqual(8);
      expect(high[a]).toBeGreaterThan(low[a]);
    }
  }
});
