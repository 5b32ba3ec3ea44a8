import { useState } from "react";
import { wordsOf } from "../api/loaded";

export interface Acting {
  busy: boolean;
  problem: string;
  /** True where it worked; else `problem` says why not. */
  act: (doIt: () => Promise<unknown>) => Promise<boolean>;
}

export function useActing(): Acting {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const act = async (doIt: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true);
    setProblem("");
    try {
      await doIt();
      return true;
    } catch (error) {
      setProblem(wordsOf(error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, act };
}
