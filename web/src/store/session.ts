// Who is logged in.
import { create } from "zustand";
import { ApiError, call, get, setCsrf, whenSessionIsOver, type Schemas, type User } from "../api/client";

interface Session {
  state: "asking" | "anonymous" | "in";
  user: User | null;
  welcome: Schemas["WelcomeOut"] | null;
  begin: () => Promise<void>;
  logIn: (name: string, password: string) => Promise<void>;
  logOut: () => Promise<void>;
  changePassword: (old: string, fresh: string) => Promise<void>;
}

/** Whether the account may change readings; managers look at them. */
export const useMayRead = (): boolean => useSession((s) => s.user?.role === "reader");

export const useSession = create<Session>((set) => {
  const entered = (told: Schemas["SessionOut"]): void => {
    setCsrf(told.csrf);
    set({ state: "in", user: told.user });
  };
  whenSessionIsOver(() => set({ state: "anonymous" }));
  return {
    state: "asking",
    user: null,
    welcome: null,
    begin: async () => {
      set({ welcome: await get<Schemas["WelcomeOut"]>("/api/welcome") });
      try {
        entered(await get<Schemas["SessionOut"]>("/api/session"));
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        set({ state: "anonymous", user: null });
      }
    },
    logIn: async (name, password) => {
      entered(await call<Schemas["SessionOut"]>("POST", "/api/login", { json: { name, password } }));
    },
    logOut: async () => {
      await call("POST", "/api/logout");
      set({ state: "anonymous", user: null });
    },
    changePassword: async (old, fresh) => {
      await call("POST", "/api/password", { json: { old, new: fresh } });
      entered(await get<Schemas["SessionOut"]>("/api/session"));
    },
  };
});
