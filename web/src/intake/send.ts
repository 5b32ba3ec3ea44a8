// An upload: requests one after another, each telling how far it is; what was not sent can be sent again.
import { create } from "zustand";
import { csrfToken, words, type Schemas } from "../api/client";
import { useSession } from "../store/session";
import { batches, type Named } from "./gather";

type Result = Schemas["UploadOut"];

interface Sending {
  owner: string;
  busy: boolean;
  done: number;
  total: number;
  taken: number;
  again: number;
  studies: ReadonlySet<string>;
  rejected: Schemas["RejectedOut"][];
  problem: string;
  rest: Named[];
  stop: () => void;
  send: (files: Named[]) => Promise<void>;
  forget: (owner: string) => void;
}

const NOTHING = { busy: false, done: 0, total: 0, taken: 0, again: 0, studies: new Set<string>(), rejected: [], problem: "", rest: [] };

export const useSending = create<Sending>((set, state) => {
  let now: XMLHttpRequest | null = null;
  return {
    ...NOTHING,
    owner: "",
    forget: (owner) => {
      if (state().owner === owner) return;
      now?.abort();
      set({ ...NOTHING, owner });
    },
    stop: () => now?.abort(),
    send: async (files) => {
      if (state().busy || !files.length) return;
      const again = state().rest === files;
      const total = files.reduce((sum, one) => sum + one.file.size, 0);
      set(again ? { busy: true, problem: "", done: 0, total } : { ...NOTHING, busy: true, total });
      const open = batches(files);
      let before = 0;
      try {
        for (let batch = open[0]; batch; batch = open[0]) {
          const bytes = batch.reduce((sum, one) => sum + one.file.size, 0);
          const told = await post(batch, (share) => set({ done: before + share * bytes }), (request) => (now = request));
          before += bytes;
          open.shift();
          set((was) => ({
            done: before,
            taken: was.taken + told.taken,
            again: was.again + told.again,
            studies: new Set([...was.studies, ...told.study_ids]),
            rejected: [...was.rejected, ...told.rejected],
          }));
        }
        set({ rest: [] });
      } catch (error) {
        set({ problem: error instanceof Error ? error.message : String(error), rest: open.flat() });
      } finally {
        now = null;
        set({ busy: false });
      }
    },
  };
});

// fetch does not tell how much of a body is sent
function post(files: readonly Named[], progress: (share: number) => void, begun: (request: XMLHttpRequest) => void): Promise<Result> {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    for (const { file, path } of files) form.append("files", file, path);
    const request = new XMLHttpRequest();
    begun(request);
    request.open("POST", "/api/studies");
    request.setRequestHeader("X-CSRF-Token", csrfToken());
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onabort = () => reject(new Error("Stopped. Files that were sent before are kept."));
    request.onerror = () => reject(new Error("The connection broke, or a file can no longer be read. Sending again does no harm: files that arrived are recognised."));
    request.onload = () => {
      if (request.status === 401) void useSession.getState().begin().catch(() => undefined);
      if (request.status === 200) resolve(request.response as Result);
      else reject(new Error(words(request.response, request.status)));
    };
    request.send(form);
  });
}
