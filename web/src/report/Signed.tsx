import { useEffect, useState, type ReactElement } from "react";
import { call, get, type Reading, type Schemas } from "../api/client";
import { useReading } from "../store/reading";
import { useMayRead } from "../store/session";
import { clock } from "../worklist/format";

type Delivery = Schemas["DeliveryOut"];
const EVERY_MS = 3000;
const PARCELS: Record<Delivery["what"], string> = { ai: "AI’s findings", signed: "signed report", addendum: "with addendum" };
const MOST_LETTERS = 10_000;

/** Who signed, on its way to which PACS, and what was added since. */
export function Signed({ studyId, reading }: { studyId: string; reading: Reading }): ReactElement {
  const put = useReading((s) => s.put);
  const mayRead = useMayRead();
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [deliveries, setDeliveries] = useState<Delivery[]>([]);
  const [asked, setAsked] = useState(0);
  const onTheWay = deliveries.some((one) => one.state === "queued" || one.state === "running");
  useEffect(() => {
    const look = (): void => void get<Delivery[]>(`/api/studies/${studyId}/deliveries`).then(setDeliveries, () => undefined);
    look();
    if (!onTheWay) return undefined;
    const timer = setInterval(look, EVERY_MS);
    return () => clearInterval(timer);
  }, [studyId, asked, onTheWay]);
  const trying = async (act: () => Promise<unknown>): Promise<void> => {
    setProblem("");
    setBusy(true);
    try {
      await act();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };
  const add = (): Promise<void> =>
    trying(async () => {
      await call("POST", `/api/studies/${studyId}/addenda`, { json: { text } });
      setText("");
      setAsked((n) => n + 1);
      put(await get<Reading>(`/api/studies/${studyId}/reading`));
    });
  const again = (job: string): Promise<void> =>
    trying(async () => {
      await call("POST", `/api/studies/${studyId}/deliveries/${job}/retry`);
      setAsked((n) => n + 1);
    });
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
                <td data-testid="parcel">{PARCELS[one.what]}</td>
                <td data-testid="delivery" className={one.state === "failed" ? "bad" : one.state === "done" ? "good" : ""}>
                  {one.state}
                </td>
                <td className="dim">{one.cause}</td>
                <td>
                  {one.state === "failed" && (
                    <button disabled={busy || !mayRead} onClick={() => void again(one.job_id)}>
                      Again
                    </button>
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
      {mayRead && (
        <>
          <textarea
            aria-label="addendum"
            data-testid="addendum"
            rows={2}
            maxLength={MOST_LETTERS}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <button data-testid="add-addendum" disabled={busy || !text.trim()} onClick={() => void add()}>
            Add
          </button>
        </>
      )}
      <p role="alert" className="bad">
        {problem}
      </p>
    </section>
  );
}
