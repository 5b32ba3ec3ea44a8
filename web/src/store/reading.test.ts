import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Change } from "../api/client";
import { Labels } from "../viewer/labels";
import { holdsBack, layOver, useReading } from "./reading";
import { useSession } from "./session";

it("what two hands changed apart from each other is all kept, and mine wins where both did", () => {
  const loaded = new Uint8Array(8 * 8 * 6);
  const hand = (strokes: [number, number, number][], label: number): Labels => {
    const labels = new Labels([8, 8, 6], [1, 1, 1], loaded.slice());
    labels.begin("stroke");
    for (const at of strokes) labels.paint(at, 2, { radiusMm: 0.5, sphere: false, range: null }, label, null);
    labels.end();
    return labels;
  };
  const theirs = hand([[1, 1, 2], [5, 5, 3]], 1).voxels;
  const mine = hand([[5, 5, 3], [6, 6, 4], [1, 6, 2]], 2);
  const planes = mine.takeDirty()!;
  layOver(theirs, planes);
  const at = (i: number, j: number, k: number): number => theirs[i + 8 * (j + 8 * k)]!;
  expect([at(1, 1, 2), at(5, 5, 3), at(6, 6, 4), at(1, 6, 2)]).toEqual([1, 2, 2, 2]);
  expect(theirs.filter((label) => label !== 0).length).toBe(4);
  expect(planes.voxels).toEqual(theirs.slice(2 * 64, 5 * 64));
});

it("of two saves that wait, the later lies over the earlier, not over what was before it", () => {
  const labels = new Labels([8, 8, 6], [1, 1, 1], new Uint8Array(8 * 8 * 6));
  const stroke = (at: [number, number, number]): void => {
    labels.begin("stroke");
    labels.paint(at, 2, { radiusMm: 0.5, sphere: false, range: null }, 3);
    labels.end();
  };
  stroke([1, 1, 2]);
  const first = labels.takeDirty()!;
  stroke([4, 4, 2]);
  const second = labels.takeDirty()!;
  const theirs = new Uint8Array(8 * 8 * 6);
  theirs[6 + 8 * (6 + 8 * 2)] = 1;
  layOver(theirs, first);
  layOver(theirs, second);
  expect(second.voxels).toEqual(theirs.slice(2 * 64, 3 * 64));
  expect([...second.voxels].filter((label) => label !== 0).sort()).toEqual([1, 3, 3]);
});

/** A server with two studies that takes changes only on its present version; `reply` may say otherwise. */
class Server {
  versions: Record<string, number> = { a: 1, b: 1 };
  taken: string[] = [];
  reply: ((words: string) => Response | null | Promise<Response | null>) | null = null;

  readonly fetch = async (path: string, init: RequestInit): Promise<Response> => {
    const study = path.split("/")[3]!;
    const answer = (): Response => Response.json({ study_id: study, version: this.versions[study], findings: [] });
    if (init.method === "GET") return answer();
    const words = `${study} ${(JSON.parse(String(init.body)) as { changes: { text: string }[] }).changes[0]!.text}`;
    const other = await this.reply?.(words);
    if (other) return other;
    if ((init.headers as Record<string, string>)["If-Match"] !== `"${this.versions[study]}"`) {
      return Response.json({ detail: "changed", version: this.versions[study], by: "Dr B" }, { status: 412 });
    }
    this.versions[study]!++;
    this.taken.push(words);
    return answer();
  };
}

const write = (text: string): Promise<boolean> => useReading.getState().change([{ op: "write", field: "comment", text } as Change]);

const as = (id: string): void => useSession.setState({ user: { id } as never });
let readers = 0;

describe("changes on their way", () => {
  let server: Server;

  beforeEach(async () => {
    server = new Server();
    vi.stubGlobal("fetch", server.fetch);
    as(`reader ${++readers}`); // what an account left unsent waits for it, also from test to test
    await useReading.getState().load("a");
  });

  afterEach(() => vi.unstubAllGlobals());

  it("go one after another, each on the version before it", async () => {
    expect(await Promise.all(["1", "2", "3"].map(write))).toEqual([true, true, true]);
    expect(server.taken).toEqual(["a 1", "a 2", "a 3"]);
    expect(useReading.getState()).toMatchObject({ saving: "saved", reading: { version: 4 } });
  });

  it("one that is refused stops no other, and the reader is told", async () => {
    server.reply = (words) => (words === "a 2" ? Response.json({ detail: "no such finding" }, { status: 422 }) : null);
    expect(await Promise.all(["1", "2", "3"].map(write))).toEqual([true, false, true]);
    expect(server.taken).toEqual(["a 1", "a 3"]);
    expect(useReading.getState()).toMatchObject({ saving: "refused", problem: "no such finding" });
    await write("4");
    expect(useReading.getState()).toMatchObject({ saving: "saved", problem: "" });
  });

  it("wait while the server is away, and go in order once it is back", async () => {
    server.reply = () => Promise.reject(new TypeError("network"));
    expect(await Promise.all(["1", "2"].map(write))).toEqual([false, false]);
    expect(useReading.getState()).toMatchObject({ saving: "offline", failing: false });
    server.reply = null;
    await useReading.getState().retry();
    expect(server.taken).toEqual(["a 1", "a 2"]);
    expect(useReading.getState().saving).toBe("saved");
  });

  it.each([408, 429, 500, 503, 507])("wait while the server is busy, broken or full: %i", async (status) => {
    server.reply = () => Response.json({ detail: "later" }, { status });
    expect(await write("1")).toBe(false);
    expect(useReading.getState()).toMatchObject({ saving: "offline", problem: "later", failing: true });
    server.reply = null;
    expect(await write("2")).toBe(true);
    expect(server.taken).toEqual(["a 1", "a 2"]);
  });

  it("one that the server fails on for ever can be left out, and what came later goes", async () => {
    server.reply = (words) => (words === "a 1" ? Response.json(null, { status: 500 }) : null);
    await Promise.all(["1", "2"].map(write));
    expect(server.taken).toEqual([]);
    await useReading.getState().leaveOut();
    expect(server.taken).toEqual(["a 2"]);
    expect(useReading.getState()).toMatchObject({ saving: "saved", problem: "" });
  });

  const over = (): Response => Response.json({ detail: "log in again" }, { status: 401 });

  it("that a session's end held up go once the same person is back", async () => {
    as("anna");
    await useReading.getState().load("a");
    server.reply = over;
    await Promise.all(["1", "2"].map(write));
    server.reply = null;
    await useReading.getState().load("b");
    expect(server.taken).toEqual([]);
    await useReading.getState().load("a");
    expect(server.taken).toEqual(["a 1", "a 2"]);
    expect(useReading.getState()).toMatchObject({ saving: "saved", reading: { version: 3 } });
  });

  it("that waited for a return are laid over nobody else's unseen", async () => {
    as("berta");
    await useReading.getState().load("a");
    server.reply = over;
    await write("1");
    server.reply = null;
    server.versions.a = 4;
    await useReading.getState().load("a");
    expect(server.taken).toEqual([]);
    expect(useReading.getState()).toMatchObject({ saving: "conflict", reading: { version: 4 }, conflict: { version: 4 } });
  });

  it("are never sent in another person's name", async () => {
    as("carla");
    await useReading.getState().load("a");
    server.reply = over;
    await write("1");
    server.reply = null;
    as("dora");
    await useReading.getState().load("a");
    expect(await write("2")).toBe(true);
    expect(server.taken).toEqual(["a 2"]);
  });

  it("tell who was faster, wherever in the answer the server says it", async () => {
    const told = { detail: "changed", version: 9, by: "Dr C", at: "2026-01-02T03:04:05Z" };
    for (const body of [told, { detail: told }]) {
      await useReading.getState().load("b");
      server.reply = () => Response.json(body, { status: 412 });
      await write("1");
      expect(useReading.getState().conflict).toEqual({ words: "changed", version: 9, by: "Dr C", at: told.at });
      server.reply = null;
      await useReading.getState().takeTheirs();
    }
  });

  it("that the page still holds back are sent before it is said that all is saved", async () => {
    let text = "held";
    const stop = holdsBack(() => (text ? write(text) : undefined));
    expect(await useReading.getState().settled()).toBe(true);
    expect(server.taken).toEqual(["a held"]);
    text = "more";
    server.reply = () => Promise.reject(new TypeError("network"));
    expect(await useReading.getState().settled()).toBe(false);
    stop();
    text = "";
  });

  it("one that is refused while all is being sent keeps the signature back once", async () => {
    server.reply = () => Response.json({ detail: "no" }, { status: 422 });
    let text = "1";
    const stop = holdsBack(() => (text ? write(text) : undefined));
    expect(await useReading.getState().settled()).toBe(false);
    text = "";
    expect(await useReading.getState().settled()).toBe(true);
    stop();
  });

  it("an older answer, or another study's, takes the place of nothing", async () => {
    await write("1");
    const { put } = useReading.getState();
    put({ study_id: "a", version: 1 } as never);
    put({ study_id: "b", version: 9 } as never);
    expect(useReading.getState().reading?.version).toBe(2);
    put({ study_id: "a", version: 2, comment: "fresh" } as never);
    expect(useReading.getState().reading).toMatchObject({ comment: "fresh" });
    expect(await write("2")).toBe(true);
  });

  it.each([
    ["keepMine", ["a 1", "a 2"]],
    ["takeTheirs", []],
  ] as const)("a conflict sends nothing until the reader decides: %s", async (decision, taken) => {
    server.versions.a = 5;
    expect(await write("1")).toBe(false);
    expect(await write("2")).toBe(false);
    await useReading.getState().retry();
    expect(useReading.getState()).toMatchObject({ saving: "conflict", conflict: { version: 5, by: "Dr B" } });
    expect(server.taken).toEqual([]);
    await useReading.getState()[decision]();
    expect(server.taken).toEqual(taken);
    expect(useReading.getState()).toMatchObject({ saving: "saved", conflict: null, reading: { version: 5 + taken.length } });
  });

  it("of a study that is left are sent to the end, to that study", async () => {
    let go = (): void => undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    server.reply = async (words) => (words === "a 1" ? held.then(() => null) : null);
    const left = [write("1"), write("2")];
    await useReading.getState().load("b");
    const here = write("3");
    expect(await here).toBe(true);
    go();
    expect(await Promise.all(left)).toEqual([true, true]);
    expect(server.taken).toEqual(["b 3", "a 1", "a 2"]);
    expect(useReading.getState()).toMatchObject({ studyId: "b", saving: "saved", reading: { version: 2 } });
  });
});
