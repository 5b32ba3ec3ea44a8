import { expect, test } from "vitest";
import { actOf, moved, type Pressed } from "./keys";

const press = (key: string, more: Partial<Pressed> = {}): ReturnType<typeof actOf> => actOf({ key, ctrl: false, on: "page", ...more });

test.each([
  ["j", "next"],
  ["ArrowDown", "next"],
  ["k", "previous"],
  ["ArrowUp", "previous"],
  ["PageDown", "page-down"],
  ["PageUp", "page-up"],
  ["Home", "first"],
  ["End", "last"],
])("%s moves to the %s", (key, to) => expect(press(key)).toEqual({ do: "move", to }));

test.each([["Enter", "open"], ["r", "refresh"], ["R", "refresh"], ["?", "help"], ["/", "search"], ["f", "flagged"], ["m", "manage"], ["t", "retry"], ["Escape", "clear"]])(
  "%s: %s",
  (key, act) => expect(press(key)).toEqual({ do: act }),
);

test("the browser's own keys, typing and dialogs are left alone", () => {
  expect(press("r", { ctrl: true })).toBeNull();
  expect(press("j", { on: "field" })).toBeNull();
  expect(press("Enter", { on: "dialog" })).toBeNull();
  expect(press("x")).toBeNull();
  expect(press("constructor")).toBeNull();
});

test("Enter on a button presses the button; letters still work there", () => {
  expect(press("Enter", { on: "button" })).toBeNull();
  expect(press("j", { on: "button" })).not.toBeNull();
});

test("a move stays in the list, whatever its length", () => {
  for (const total of [0, 1, 2, 10_000])
    for (const to of ["next", "previous", "page-down", "page-up", "first", "last"] as const)
      for (const index of [0, 1, 9_999]) {
        const at = moved(index, to, total, 25);
        expect(at).toBeGreaterThanOrEqual(0);
        expect(at).toBeLessThan(Math.max(1, total));
      }
});

test("a page down and up again ends where it began", () => {
  expect(moved(0, "page-down", 1000, 25)).toBe(24);
  expect(moved(24, "page-up", 1000, 25)).toBe(0);
  expect(moved(5, "page-down", 1000, 0)).toBe(6);
});
