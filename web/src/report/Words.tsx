import { useEffect, useRef, useState, type ReactElement } from "react";
import { holdsBack } from "../store/reading";

const SAVE_AFTER_MS = 800;
/** As the server has it. */
const MOST_LETTERS = 10_000;

interface Props {
  label: string;
  text: string;
  locked: boolean;
  rows?: number;
  maxLength?: number;
  /** Answers once the server has it, or has not taken it. */
  save: (text: string) => Promise<unknown>;
}

/** A text that is saved a moment after the last key, and at once when it or the study is left. */
export function Words({ label, text, locked, rows = 3, maxLength = MOST_LETTERS, save }: Props): ReactElement {
  // what is being written here, until the server says the same
  const [draft, setDraft] = useState<string | null>(null);
  const waiting = useRef<string | null>(null);
  const timer = useRef<number>(undefined);
  const present = useRef({ text, save });
  useEffect(() => {
    present.current = { text, save };
  });
  const flush = useRef((): Promise<unknown> | undefined => {
    window.clearTimeout(timer.current);
    const value = waiting.current;
    waiting.current = null;
    if (value === null || value === present.current.text) return undefined;
    return present.current.save(value);
  }).current;
  useEffect(() => {
    if (draft === text && waiting.current === null) setDraft(null);
  }, [draft, text]);
  useEffect(() => {
    const leave = (event: BeforeUnloadEvent): void => {
      if (flush()) event.preventDefault();
    };
    addEventListener("beforeunload", leave);
    const stop = holdsBack(flush);
    return () => {
      removeEventListener("beforeunload", leave);
      stop();
      void flush();
    };
  }, [flush]);
  return (
    <textarea
      aria-label={label}
      data-testid={label}
      rows={rows}
      maxLength={maxLength}
      readOnly={locked}
      value={draft ?? text}
      onChange={(event) => {
        const { value } = event.target;
        setDraft(value);
        waiting.current = value;
        window.clearTimeout(timer.current);
        timer.current = window.setTimeout(flush, SAVE_AFTER_MS);
      }}
      onBlur={flush}
    />
  );
}
