import { useEffect, useState, type ReactElement } from "react";
import { get, type Schemas, type StudyRow } from "../api/client";
import { go } from "../app/route";
import { age, day, personName } from "./format";

export function Worklist(): ReactElement {
  const [rows, setRows] = useState<StudyRow[]>([]);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const stop = new AbortController();
    get<Schemas["WorklistOut"]>("/api/studies?limit=100", stop.signal)
      .then((told) => setRows(told.items))
      .catch((error: unknown) => setProblem(error instanceof Error ? error.message : String(error)));
    return () => stop.abort();
  }, []);
  return (
    <main className="page">
      {problem && <p className="bad">{problem}</p>}
      <table>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id} data-testid="row" onClick={() => go(`/study/${row.id}`)}>
              <td>{row.state}</td>
              <td>{row.suspicion?.toFixed(2)}</td>
              <td>{personName(row.patient_name)}</td>
              <td>{row.patient_id}</td>
              <td>{age(row.birth_date, row.study_at)}</td>
              <td>{row.description}</td>
              <td>{day(row.study_at)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </main>
  );
}
