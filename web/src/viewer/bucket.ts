// The paint bucket: what is enclosed in one plane, or hangs together within a range of HU, becomes part of a finding.
import { inside, type Index } from "./geometry";
import type { Labels } from "./labels";
import { otherAxes } from "./mask";

/** Further from the click than this nothing is filled: what goes on so far has no border. */
export const REACH_MM = 60;

export interface Filled {
  filled: number;
  words: string;
}

/** Fill from a voxel in the plane across `axis`, up to other labels and, where told, to the ends of a range of HU. Fills all or nothing. */
export function bucket(labels: Labels, from: Index, axis: 0 | 1 | 2, label: number, range: [number, number] | null): Filled {
  if (!inside(labels.shape, from)) return { filled: 0, words: "" };
  if (labels.at(from) !== 0) return { filled: 0, words: "This place is painted already: click inside an outline, or in tissue of a range of HU (H)." };
  const [a, b] = otherAxes(axis);
  const free = (ijk: Index): boolean => {
    const at = labels.offset(ijk);
    if (labels.voxels[at] !== 0) return false;
    const hu = labels.hu?.[at];
    return !range || hu === undefined || (hu >= range[0] && hu <= range[1]);
  };
  if (!free(from)) return { filled: 0, words: `That is not within ${range?.[0]} to ${range?.[1]} HU.` };
  const seen = new Set<number>([labels.offset(from)]);
  const queue: Index[] = [from];
  for (let ijk = queue.pop(); ijk; ijk = queue.pop()) {
    const far = Math.hypot((ijk[a] - from[a]) * labels.spacing[a], (ijk[b] - from[b]) * labels.spacing[b]);
    const rim = ijk[a] === 0 || ijk[b] === 0 || ijk[a] === labels.shape[a] - 1 || ijk[b] === labels.shape[b] - 1;
    if (far > REACH_MM || rim) return { filled: 0, words: open(range) };
    for (const [along, by] of [[a, 1], [a, -1], [b, 1], [b, -1]] as const) {
      const next = ijk.slice() as Index;
      next[along] += by;
      const at = labels.offset(next);
      if (seen.has(at) || !free(next)) continue;
      seen.add(at);
      queue.push(next);
    }
  }
  for (const at of seen) labels.put(at, label);
  return { filled: seen.size, words: `${seen.size} voxels filled.` };
}

const open = (range: [number, number] | null): string =>
  range ? `What has these HU here goes on for more than ${REACH_MM} mm: narrow the range.` : "Nothing encloses this place: draw round it first, or fill by HU (H).";
