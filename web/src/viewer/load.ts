// The voxels of a study: the CT from the plane that is looked at outwards, and its masks.
import { request } from "../api/client";
import type { Frame } from "./geometry";

const PLANES_AT_ONCE = 12;
const IN_FLIGHT = 4;

/** Fetch the CT into `hu`, plane `from` first; `told` hears how many planes are there. */
export async function loadCt(
  studyId: string,
  frame: Frame,
  hu: Int16Array,
  from: number,
  told: (done: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const [columns, rows, planes] = frame.shape;
  const plane = columns * rows;
  // that one alone first: it is on the screen before the rest is asked for
  const stretches: [number, number][] = [[from, from]];
  for (let first = 0; first < planes; first += PLANES_AT_ONCE) stretches.push([first, Math.min(first + PLANES_AT_ONCE, planes) - 1]);
  const [head, ...rest] = stretches;
  rest.sort((a, b) => Math.abs(a[0] + a[1] - 2 * from) - Math.abs(b[0] + b[1] - 2 * from));
  let done = 0;
  const fetchOne = async ([first, last]: [number, number]): Promise<void> => {
    const answer = await request("GET", `/api/studies/${studyId}/volume?first_k=${first}&last_k=${last}`, { signal });
    const bytes = await answer.arrayBuffer();
    if (bytes.byteLength !== 2 * plane * (last - first + 1)) {
      throw new Error(`planes ${first} to ${last} came with ${bytes.byteLength} bytes, not ${2 * plane * (last - first + 1)}`);
    }
    hu.set(new Int16Array(bytes), first * plane); // little-endian, as every machine with a browser is
    done += last - first + 1;
    told(Math.min(done, planes));
  };
  if (head) await fetchOne(head);
  done = 0;
  const queue = rest.values();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      for (const stretch of queue) await fetchOne(stretch);
    }),
  );
}

/** The present mask, or the AI's own. */
export async function loadMask(studyId: string, original: boolean, signal?: AbortSignal): Promise<Uint8Array> {
  const answer = await request("GET", `/api/studies/${studyId}/mask${original ? "?original=true" : ""}`, { signal });
  return new Uint8Array(await answer.arrayBuffer());
}
