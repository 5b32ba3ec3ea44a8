// Shapes in the plane and what the server tells of one.
/** Distance in mm of every pixel to the nearest one with `value`; exact, by columns then rows (Felzenszwalb & Huttenlocher 2012). */
export function distances(mask: Uint8Array, width: number, height: number, dx: number, dy: number, value: number): Float32Array {
  const far = 1e12;
  const squared = Float64Array.from(mask, (v) => (v === value ? 0 : far));
  const line = (from: number, stride: number, count: number, step: number): void => {
    const f = Float64Array.from({ length: count }, (_, n) => squared[from + n * stride]!);
    const v = new Int32Array(count);
    const z = new Float64Array(count + 1);
    let k = 0;
    z[0] = -Infinity;
    z[1] = Infinity;
    const meet = (p: number, q: number): number => (f[q]! - f[p]! + step * step * (q * q - p * p)) / (2 * step * step * (q - p));
    for (let q = 1; q < count; q++) {
      let s = meet(v[k]!, q);
      while (s <= z[k]!) s = meet(v[--k]!, q);
      v[++k] = q;
      z[k] = s;
      z[k + 1] = Infinity;
    }
    k = 0;
    for (let q = 0; q < count; q++) {
      while (z[k + 1]! < q) k++;
      squared[from + q * stride] = (step * (q - v[k]!)) ** 2 + f[v[k]!]!;
    }
  };
  for (let y = 0; y < height; y++) line(y * width, 1, width, dx);
  for (let x = 0; x < width; x++) line(x, width, height, dy);
  return Float32Array.from(squared, Math.sqrt);
}

/** Alternating lengths of 0 and 1 as bytes. */
export function expand(runs: number[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  runs.forEach((run, n) => {
    if (n % 2 === 1) bytes.fill(1, at, at + run);
    at += run;
  });
  if (at !== length) throw new Error(`the runs tell of ${at} voxels, the box has ${length}`);
  return bytes;
}
