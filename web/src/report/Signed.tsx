import { useEffect, useState, type ReactElement } from "react";
import { call, get, type Reading, type Schemas } from "../api/client";
import { useReading } from "../store/reading";
import { clock } from "../worklist/format";

type Delivery = Schemas["DeliveryOut"];
const EVERY_MS = 3000;

/** Who signed, on its way to which PACS, and what was added since. */
export function Signed({ studyId, reading }: { studyId: string; reading: Reading }): ReactElement {
  const load = useReading((s) => s.load);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const [deliveries, setDeliveries] = useState<Delivery[]>([]);
  useEffect(() => {
    const look = (): void => void get<Delivery[]>(`/api/studies/${studyId}/deliveries`).then(setDeliveries, () => undefined);
    look();
    const timer = setInterval(look, EVERY_MS);
    return () => clearInterval(timer);
  }, [studyId]);
  const add = async (): Promise<void> => {
    try {
      await call("POST", `/api/studies/${studyId}/addenda`, { json: { text } });
      setText("");
      await load(studyId);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <section>
      <p data-testid="signed" className="good">
        Signed by {reading.signed_by}, {clock(reading.signed_at)}
      </p>
      {deliveries.length > 0 && (
        <table aria-label="Deliveries">
          <tbody>
            {deliveries.map((one) => (
              <tr key={one.job_id}>
                <td>{one.node}</td>
                <td data-testid="delivery" className={one.state === "failed" ? "bad" : one.state === "done" ? "good" : ""}>
                  {one.state}
                </td>
                <td className="dim">{one.cause}</td>
                <td>
                  {one.state === "failed" && (
                    <button onClick={() => void call("POST", `/api/studies/${studyId}/deliveries/${one.job_id}/retry`)}>Again</button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <h3>Addenda</h3>
      {reading.addenda.map((one) => (
        <p key={one.at + one.text}>
          <span className="dim">
            {clock(one.at)}, {one.by}:
          </span>{" "}
          {one.text}
        </p>
      ))}
      <textarea aria-label="addendum" rows={2} value={text} onChange={(event) => setText(event.target.value)} />
      <button disabled={!text.trim()} onClick={() => void add()}>
        Add
      </button>
      <p role="alert" className="bad">
        {problem}
      </p>
    </section>
  );
}
