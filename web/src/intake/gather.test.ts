import { expect, test } from "vitest";
import { batches, size } from "./gather";

const named = (bytes: number, path: string): { file: File; path: string } => ({ file: { size: bytes } as File, path });

test("requests keep every file once, in order, within both limits", () => {
  const files = Array.from({ length: 57 }, (_, at) => named((at * 37) % 50, `${at}`));
  const packed = batches(files, 10, 100);
  expect(packed.flat()).toEqual(files);
  for (const batch of packed) {
    expect(batch.length).toBeLessThanOrEqual(10);
    expect(batch.reduce((sum, one) => sum + one.file.size, 0)).toBeLessThanOrEqual(100);
  }
});

test("a file over the limit goes alone; nothing makes no request", () => {
  expect(batches([named(5, "a"), named(500, "zip"), named(5, "b")], 10, 100).map((batch) => batch.length)).toEqual([1, 1, 1]);
  expect(batches([])).toEqual([]);
});

test("sizes are told in the unit that fits", () => expect([0, 999, 2.5e6, 3.456e9].map(size)).toEqual(["0 kB", "1 kB", "2.5 MB", "3.46 GB"]));
