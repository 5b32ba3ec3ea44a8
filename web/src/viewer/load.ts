// The voxels of a study: the CT from the middle plane outwards, and its masks.
import { request } from "../api/client";
import type { Frame } from "./geometry";

const PLANES_AT_ONCE = 12;
const IN_FLIGHT = 4;

/** Fetch the CT; `told` hears of every stretch of planes that has come. */
export async function loadCt(
  studyId: string,
  frame: Frame,
  told: (hu: Int16Array, first: number, last: number, done: number) => void,
  signal: AbortSignal,
): Promise<Int16Array> {
  const [columns, rows, planes] = frame.shape;
  const plane = columns * rows;
  const hu = new Int16Array(plane * planes);
  const middle = Math.floor(planes / 2);
  // the middle one alone first: it is on the screen before the rest is asked for
  const stretches: [number, number][] = [[middle, middle]];
  for (let first = 0; first < planes; first += PLANES_AT_ONCE) stretches.push([first, Math.min(first + PLANES_AT_ONCE, planes) - 1]);
  const [head, ...rest] = stretches;
  rest.sort((a, b) => Math.abs(a[0] + a[1] - 2 * middle) - Math.abs(b[0] + b[1] - 2 * middle));
  let done = 0;
  const fetchOne = async ([first, last]: [number, number]): Promise<void> => {
    const answer = await request("GET", `/api/studies/${studyId}/volume?first_k=${first}&last_k=${last}`, { signal });
    const bytes = await answer.arrayBuffer();
    if (bytes.byteLength !== 2 * plane * (last - first + 1)) {
      throw new Error(`planes ${first} to ${last} came with ${bytes.byteLength} bytes, not ${2 * plane * (last - first + 1)}`);
    }
    hu.set(new Int16Array(bytes), first * plane); // little-endian, as every machine with a browser is
    done += last - first + 1;
    told(hu, first, last, Math.min(done, planes));
  };
  if (head) await fetchOne(head);
  done = 0;
  const queue = rest.values();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      for (const stretch of queue) await fetchOne(stretch);
    }),
  );
  return hu;
}

/** The present mask, or the AI's own. */
export async function loadMask(studyId: string, original: boolean, signal?: AbortSignal): Promise<Uint8Array> {
  const answer = await request("GET", `/api/studies/${studyId}/mask${original ? "?original=true" : ""}`, { signal });
  return new Uint8Array(await answer.arrayBuffer());
}
