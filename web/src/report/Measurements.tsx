import type { ReactElement } from "react";
import type { Reading } from "../api/client";
import { useReading } from "../store/reading";
import { useView } from "../viewer/view";
import { middle, valuesWords } from "./words";

interface Props {
  reading: Reading;
  locked: boolean;
  onPlace: (at: [number, number, number]) => void;
}

const KINDS: Record<string, string> = { length: "Length", bidirectional: "RECIST", roi: "Region" };

/** What was measured: a click goes there and chooses it for Delete. */
export function Measurements({ reading, locked, onPlace }: Props): ReactElement | null {
  const change = useReading((s) => s.change);
  const chosen = useView((s) => s.measurement);
  if (reading.measurements.length === 0) return null;
  return (
    <section>
      <h3>
        Measurements <span className="dim">{reading.measurements.length}</span>
      </h3>
      <ul data-testid="measurements">
        {reading.measurements.map((one) => (
          <li key={one.id} className={`line measured${one.id === chosen ? " chosen" : ""}`} aria-current={one.id === chosen}>
            <button
              className="plain pick"
              title="go there; Delete removes it"
              onClick={() => {
                useView.getState().set({ measurement: one.id });
                onPlace(middle(one.points_xyz));
              }}
            >
              {KINDS[one.kind] ?? one.kind} <b>{valuesWords(one.values)}</b> {one.finding ? <span className="dim">finding {one.finding}</span> : null}
            </button>
            {!locked && (
              <button className="plain" aria-label={`remove the measurement of ${valuesWords(one.values)}`} onClick={() => void change([{ op: "unmeasure", id: one.id }])}>
                ✕
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
