import { useEffect, useState, type ReactElement } from "react";
import { call, get, type Reading, type StudyRow } from "../api/client";
import { useTypeWords } from "../store/choices";
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
  const typeWords = useTypeWords();
  const [problem, setProblem] = useState("");
  useEffect(() => {
    get<StudyRow[]>(`/api/studies/${studyId}/priors`).then(setPriors, () => setPriors([]));
  }, [studyId]);
  if (priors.length === 0 && !told) return null;
  const named = (number: number | null): string => {
    const type = reading.findings.find((one) => one.number === number)?.type;
    return number === null ? "–" : `${number} ${type ? typeWords(type) : ""}`;
  };
  const choose = async (prior: string): Promise<void> => {
    setProblem("");
    try {
      put(await call<Reading>("PUT", `/api/studies/${studyId}/prior`, { json: { study_id: prior || null } }));
      onPrior(null); // what stands beside was the one before
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
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
                <th scope="col">then</th>
                <th scope="col">now</th>
                <th scope="col">mm</th>
                <th scope="col">change</th>
              </tr>
            </thead>
            <tbody>
              {told.pairs.map((pair) => (
                <tr key={`${pair.prior}-${pair.now}`}>
                  <td>{pair.prior ?? "–"}</td>
                  <td>{named(pair.now)}</td>
                  <td>
                    {pair.prior_mm?.toFixed(0) ?? "–"} → {pair.now_mm?.toFixed(0) ?? "–"}
                    {pair.target && <span className="dim"> target</span>}
                  </td>
                  <td>{change(pair.prior_mm, pair.now_mm)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <p>
            <b>{told.response}</b> <span className="dim">{told.reason}</span>
          </p>
          {told.prior_sum_mm !== null && told.now_sum_mm !== null && (
            <p className="dim">
              Sum of targets {told.prior_sum_mm.toFixed(0)} → {told.now_sum_mm.toFixed(0)} mm ({change(told.prior_sum_mm, told.now_sum_mm)})
            </p>
          )}
        </>
      )}
      {problem && (
        <p role="alert" className="bad">
          {problem}
        </p>
      )}
    </section>
  );
}
