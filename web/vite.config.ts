import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The server's address while developing: `panlesion aid serve` on its own port.
const server = process.env.PANLESION_AID_URL ?? "http://127.0.0.1:8470";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/panlesion/aid/web",
    emptyOutDir: true,
    // Cornerstone3D with its renderer is one piece of some megabytes, loaded with the first study that is opened.
    chunkSizeWarningLimit: 6000,
    modulePreload: { polyfill: false },
  },
  worker: { format: "es" },
  server: { proxy: { "/api": server, "/dicomweb": server } },
});
