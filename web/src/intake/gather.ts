// Files as they are dropped or chosen: folders walked, then packed into requests that are not too large.

export interface Named {
  file: File;
  /** With its folders, as the person knows it. */
  path: string;
}

export const MOST_FILES = 200;
export const MOST_BYTES = 200e6;

/** Requests of at most so many files and bytes; a file larger than that goes alone. */
export function batches(files: readonly Named[], mostFiles = MOST_FILES, mostBytes = MOST_BYTES): Named[][] {
  const packed: Named[][] = [];
  let bytes = 0;
  for (const one of files) {
    const last = packed.at(-1);
    if (last && last.length < mostFiles && bytes + one.file.size <= mostBytes) {
      last.push(one);
      bytes += one.file.size;
    } else {
      packed.push([one]);
      bytes = one.file.size;
    }
  }
  return packed;
}

export const chosen = (list: FileList | null): Named[] => [...(list ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name }));

/** What was dropped, folders and all; `unread` are names that the browser could not read. Call it while the drop is handled: its entries are gone later. */
export function dropped(transfer: DataTransfer): Promise<{ files: Named[]; unread: string[] }> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const plain = entries.length ? [] : chosen(transfer.files);
  return (async () => {
    const files = plain;
    const unread: string[] = [];
    const open = [...entries].reverse();
    for (let entry = open.pop(); entry; entry = open.pop()) {
      const path = entry.fullPath.replace(/^\//, "");
      try {
        if (entry.isFile) files.push({ file: await fileOf(entry as FileSystemFileEntry), path });
        else open.push(...(await inside(entry as FileSystemDirectoryEntry)).reverse());
      } catch (error) {
        unread.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return { files, unread };
  })();
}

const fileOf = (entry: FileSystemFileEntry): Promise<File> => new Promise((resolve, reject) => entry.file(resolve, reject));

async function inside(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  // a reader gives a hundred at a time, and none at the end
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return all;
    all.push(...some);
  }
}

export function size(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
