import { useEffect, useState, type ReactElement } from "react";
import { call, get, type Reading, type StudyRow } from "../api/client";
import { useReading } from "../store/reading";
import { day } from "../worklist/format";
import { change } from "./words";

interface Props {
  studyId: string;
  reading: Reading;
  locked: boolean;
  onPrior: (studyId: string | null) => void;
}

/** The prior study: which one, lesion by lesion, and the response by RECIST 1.1. */
export function Compared({ studyId, reading, locked, onPrior }: Props): ReactElement | null {
  const [priors, setPriors] = useState<StudyRow[]>([]);
  const put = useReading((s) => s.put);
  const told = reading.comparison;
  useEffect(() => {
    get<StudyRow[]>(`/api/studies/${studyId}/priors`).then(setPriors, () => setPriors([]));
  }, [studyId]);
  if (priors.length === 0 && !told) return null;
  const choose = async (prior: string): Promise<void> => {
    await call("PUT", `/api/studies/${studyId}/prior`, { json: { study_id: prior || null } });
    put(await get<Reading>(`/api/studies/${studyId}/reading`));
    if (!prior) onPrior(null);
  };
  return (
    <section>
      <h3>Prior study</h3>
      <select aria-label="prior study" disabled={locked} value={told?.prior_id ?? ""} onChange={(event) => void choose(event.target.value)}>
        <option value="">none</option>
        {priors.map((one) => (
          <option key={one.id} value={one.id}>
            {day(one.study_at)} {one.description}
          </option>
        ))}
      </select>{" "}
      {told && (
        <>
          <button onClick={() => onPrior(told.prior_id)}>Show beside</button>
          <table>
            <thead>
              <tr>
                <th>then</th>
                <th>now</th>
                <th>mm</th>
                <th />
              </tr>
            </thead>
            <tbody>
              {told.pairs.map((pair) => (
                <tr key={`${pair.prior}-${pair.now}`}>
                  <td>{pair.prior ?? "–"}</td>
                  <td>{pair.now ?? "–"}</td>
                  <td>
                    {pair.prior_mm?.toFixed(0) ?? "–"} → {pair.now_mm?.toFixed(0) ?? "–"} {pair.target && <span className="dim">target</span>}
                  </td>
                  <td>{change(pair.prior_mm, pair.now_mm)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <p>
            <b>{told.response}</b> <span className="dim">{told.reason}</span>
          </p>
        </>
      )}
    </section>
  );
}
