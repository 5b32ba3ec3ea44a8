import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { loadChoices } from "../store/choices";
import { useReading } from "../store/reading";
import { boxAround, findingUnder, forgetStrokes, freeNumber, propose, saveNow, saveSoon, takeProposal, unsaved } from "./editing";
import { Labels } from "./labels";
import { useView } from "./view";

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
  for (const saving of ["offline", "conflict"] as const) {
    const labels = painted();
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

const proposal = { start: [0, 0, 0] as [number, number, number], shape: [8, 8, 6] as [number, number, number], type: "cyst", probability: 0.5 };

it("tells a proposal's type in the server's words", async () => {
  const answers: Record<string, object> = {
    "/api/choices": { types: [["esophageal_cancer", "oesophageal cancer"]] },
    "/api/studies/s/propose": { type: "esophageal_cancer", probability: 0.4, start_ijk: [0, 0, 0], shape: [1, 1, 1], runs: [0, 1] },
  };
  vi.stubGlobal("fetch", (path: string) => Promise.resolve(new Response(JSON.stringify(answers[path]))));
  await loadChoices();
  await propose("s", { point_ijk: [0, 0, 0] });
  expect(useView.getState().words).toBe("oesophageal cancer, 40 %: Enter takes it, Esc leaves it");
});

it("takes a proposal once, as one step, and only where no finding is", async () => {
  const change = vi.fn(() => Promise.resolve(true));
  useReading.setState({ change, saveMask: () => Promise.resolve(true), reading: { findings: [{ number: 1, origin: "ai" }] } as never });
  const labels = painted();
  const [before, steps] = [labels.counts.get(1), labels.undoable];
  useView.setState({ proposal: { ...proposal, mask: new Uint8Array(8 * 8 * 6).fill(1) } });
  await Promise.all([takeProposal(labels), takeProposal(labels)]);
  expect(change).toHaveBeenCalledTimes(1);
  expect(labels.undoable).toBe(steps + 1);
  expect(labels.counts.get(1)).toBe(before);
  expect(labels.counts.get(2)).toBe(8 * 8 * 6 - before!);
});

it("adds no finding for a proposal that has nothing of its own, and keeps one that the server would not add", async () => {
  const change = vi.fn(() => Promise.resolve(false));
  useReading.setState({ change, saveMask: () => Promise.resolve(true), reading: { findings: [{ number: 1, origin: "ai" }] } as never });
  const labels = painted();
  useView.setState({ proposal: { ...proposal, mask: labels.voxels.map((label) => Number(label === 1)) } });
  await takeProposal(labels);
  expect(change).not.toHaveBeenCalled();
  const kept = { ...proposal, mask: new Uint8Array(8 * 8 * 6).fill(1) };
  useView.setState({ proposal: kept });
  await takeProposal(labels);
  expect(useView.getState().proposal).toEqual(kept);
  expect(labels.counts.get(2)).toBeUndefined();
});

it("a measurement belongs to the finding it was drawn on, the one in hand before others, and to none where there is none", () => {
  const labels = new Labels([20, 20, 3], [1, 1, 1], new Uint8Array(1200));
  labels.begin("two");
  for (let i = 4; i <= 8; i++) labels.put(labels.offset([i, 5, 1]), 1);
  for (let i = 10; i <= 11; i++) labels.put(labels.offset([i, 5, 1]), 2);
  labels.end();
  expect(findingUnder(labels, [[3, 5, 1], [12, 5, 1]], null)).toBe(1);
  expect(findingUnder(labels, [[3, 5, 1], [12, 5, 1]], 2)).toBe(2);
  expect(findingUnder(labels, [[3, 15, 1], [12, 15, 1]], 1)).toBeNull();
  expect(findingUnder(labels, [[-9, 5, 1], [40, 99, 7]], 1)).toBeNull();
});
