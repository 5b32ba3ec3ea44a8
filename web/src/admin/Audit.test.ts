import { expect, test } from "vitest";
import { pathOf } from "./Audit";

test("the log is asked for as it is filtered, and what is empty asks for all", () => {
  expect(pathOf({ action: "", user: " ", study: "" })).toBe("/api/audit?limit=500");
  expect(pathOf({ action: "login refused", user: " a&b ", study: "1-2" }, 7)).toBe("/api/audit?limit=500&before=7&action=login+refused&user=a%26b&study=1-2");
});
