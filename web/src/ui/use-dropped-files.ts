/** Files dropped anywhere on the page. */
import { useEffect, useRef, useState } from "preact/hooks";

/** Calls `onFiles` for each drop; true while files are dragged over the page. */
export function useDroppedFiles(onFiles: (files: File[]) => void): boolean {
  const [isDragged, setIsDragged] = useState(false);
  const latest = useRef(onFiles);
  latest.current = onFiles;
  useEffect(() => {
    // Each element that is entered counts, each that is left takes back.
    let depth = 0;
    const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
    const change = (event: DragEvent, step: number): void => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = Math.max(0, depth + step);
      setIsDragged(depth > 0);
    };
    const onEnter = (event: DragEvent): void => change(event, 1);
    const onLeave = (event: DragEvent): void => change(event, -1);
    const onOver = (event: DragEvent): void => change(event, 0);
    const onDrop = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setIsDragged(false);
      latest.current([...(event.dataTransfer?.files ?? [])]);
    };
    const listeners = { dragenter: onEnter, dragleave: onLeave, dragover: onOver, drop: onDrop } as const;
    for (const [name, listener] of Object.entries(listeners)) addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of Object.entries(listeners)) removeEventListener(name, listener as EventListener);
    };
  }, []);
  return isDragged;
}
