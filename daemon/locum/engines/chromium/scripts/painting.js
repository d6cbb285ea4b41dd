// Draws at an even pace and hands frames on. Runs in a Worker where the page's policy lets one,
// on the page's own thread otherwise; so it uses nothing but what it is given.
//
// Frames are never queued: where the other side hasn't taken the last one, this one is skipped.
// Where the machine can't draw fast enough, the picture gets smaller, and larger again later.

const AT_REST = { jaw: 0, upper: 0, lower: 0, wide: 0, pucker: 0, press: 0, close: 0 };
const WEIGHTS = Object.keys(AT_REST);
const CLOSING_MS = 90; // From the last keyframe to the mouth's rest.
const JUDGED_MS = 3000; // How long a size is looked at before it is judged.
const LONGEST_BEFORE_LARGER_MS = 600000;
const FRAMES_BEFORE_USE = 3; // A track's own settings follow them.
const KEYFRAMES_KEPT = 4096;

const pageNow = () => performance.timeOrigin + performance.now();

// The mouth's keyframes on the utterance's own time, in milliseconds, and where that time stands.
function createMouths() {
  let keyframes = [];
  let utterance = null;
  let begun = 0; // On the page's clock: when position 0 sounds.
  let ended = Infinity;

  return {
    say(id, from, more) {
      if (id !== utterance) {
        utterance = id;
        keyframes = [];
        ended = Infinity;
      }
      begun = from;
      keyframes.push(...more);
      if (keyframes.length > KEYFRAMES_KEPT) keyframes = keyframes.slice(-KEYFRAMES_KEPT);
    },
    finish(at) {
      ended = Math.min(ended, at);
    },
    speaking: (at) => utterance !== null && at >= begun && at < ended,
    at(instant) {
      if (utterance === null || keyframes.length === 0) return AT_REST;
      const closing = instant - ended;
      if (closing >= CLOSING_MS) return AT_REST;
      const position = Math.min(instant, ended) - begun;
      while (keyframes.length > 1 && keyframes[1][0] <= position) keyframes.shift();
      return mouthBetween(keyframes, position, closing > 0 ? 1 - closing / CLOSING_MS : 1);
    },
  };
}

function mouthBetween(keyframes, position, scale) {
  const [before, after] = keyframes;
  const mouth = {};
  let share = 0;
  let held = 1;
  if (after) {
    share = Math.max(0, (position - before[0]) / Math.max(1, after[0] - before[0]));
  } else {
    // Nothing more is known: to rest, rather than an open mouth for the length of a gap.
    held = 1 - Math.min(1, Math.max(0, position - before[0]) / CLOSING_MS);
  }
  if (position < before[0]) held = 0;
  WEIGHTS.forEach((name, i) => {
    const from = before[i + 1];
    const to = after ? after[i + 1] : from;
    mouth[name] = (from + (to - from) * share) * held * scale;
  });
  return mouth;
}

// Which size can be kept up. `sizes` are [width, height], the largest first; after `patienceMs`
// at a smaller one the next larger is tried, and after twice as long where it was too large.
function createLadder(sizes, fps, patienceMs) {
  let rung = 0;
  let top = 0; // The page may have asked for less than the largest.
  let since = 0;
  let frames = 0;
  let smallerSince = 0;
  let largerSince = -Infinity;
  let patience = patienceMs;

  function move(to, at) {
    rung = to;
    smallerSince = at;
    since = 0;
  }

  return {
    size: () => sizes[rung],
    ask(height, at) {
      top = sizes.length - 1;
      while (top > 0 && sizes[top][1] < height) top -= 1;
      move(top, at);
    },
    // Look anew: what was until now says nothing of what comes.
    restart() {
      since = 0;
    },
    // Called for every frame's turn, drawn or not; `busyMs` is what one takes to draw.
    judge(at, drawn, busyMs) {
      if (since === 0) {
        since = at;
        frames = 0;
      }
      frames += drawn ? 1 : 0;
      if (at - since < JUDGED_MS) return false;
      const reached = (frames * 1000) / (at - since);
      since = 0;
      if (reached < fps * 0.9 && rung < sizes.length - 1) {
        // A size that failed soon after it was tried is tried again much later.
        if (at - largerSince < 2 * patienceMs) {
          patience = Math.min(patience * 2, LONGEST_BEFORE_LARGER_MS);
        }
        move(rung + 1, at);
        return true;
      }
      if (reached >= fps * 0.97 && rung > top && at - smallerSince > patience) {
        const [[width, height], [toWidth, toHeight]] = [sizes[rung], sizes[rung - 1]];
        if ((busyMs * toWidth * toHeight) / (width * height) < 600 / fps) {
          move(rung - 1, at);
          largerSince = at;
          return true;
        }
        smallerSince = at;
      }
      return false;
    },
  };
}

// `makeFace` answers a face of a size; `report` gets counts twice a second.
function createPainter({ writable, sizes, fps, patienceMs, nameplate, makeFace, report, trouble }) {
  const writer = writable.getWriter();
  const mouths = createMouths();
  const ladder = createLadder(sizes, fps, patienceMs);
  const mood = { attentive: false, speaking: false, nod: false };
  const counts = { drawn: 0, skipped: 0, failed: 0 };
  let face = null;
  let named = (pixels) => pixels; // Writes whose stand-in it is into the picture.
  let watched = true;
  let closed = false;
  let nods = false;
  let next = 0;
  let busyMs = 0;
  let frame = null;
  let turns = 0;
  let reported = { at: pageNow(), drawn: 0 };
  let burden = 0; // Of tests: milliseconds that drawing takes longer.

  function namedOn(width, height) {
    try {
      return createNameplate({ text: nameplate, width, height });
    } catch (error) {
      trouble("nameplate", error);
      return (pixels) => pixels;
    }
  }

  function paint(at) {
    const [width, height] = ladder.size();
    if (face === null) {
      // That takes as long as many frames, once: no size is to be judged by it.
      face = makeFace(width, height);
      named = namedOn(width, height);
      ladder.restart();
    }
    const started = performance.now();
    mood.speaking = mouths.speaking(at);
    mood.nod = nods;
    nods = false;
    frame = { pixels: named(face.draw(at, mouths.at(at), mood)), width, height };
    while (performance.now() - started < burden);
    const took = performance.now() - started;
    busyMs = busyMs === 0 ? took : busyMs * 0.95 + took * 0.05;
  }

  function hand() {
    const { pixels, width, height } = frame;
    const picture = new VideoFrame(pixels, {
      format: "I420",
      codedWidth: width,
      codedHeight: height,
      timestamp: Math.round(performance.now() * 1000),
    });
    writer.write(picture).catch((error) => {
      if (!closed) trouble("write", error);
      closed = true;
    });
  }

  function turn(at) {
    turns += 1;
    // While the page has switched the camera off nobody sees it: the last picture, now and
    // then, keeps the track alive.
    if (!watched && frame !== null) {
      if (turns % Math.ceil(fps / 5) === 0 && writer.desiredSize > 0) hand();
      return;
    }
    const free = writer.desiredSize > 0;
    if (free) {
      paint(at);
      hand();
      counts.drawn += 1;
    } else {
      counts.skipped += 1;
    }
    if (ladder.judge(at, free, busyMs)) face = null;
  }

  function reportCounts(at) {
    const [width, height] = ladder.size();
    const rate = ((counts.drawn - reported.drawn) * 1000) / Math.max(1, at - reported.at);
    reported = { at, drawn: counts.drawn };
    report({ ...counts, rate, busyMs, width, height });
  }

  function loop() {
    if (closed) return;
    const at = pageNow();
    if (next === 0 || at - next > 100) next = at; // What is late is dropped.
    try {
      turn(at);
    } catch (error) {
      // A face that can't be drawn is no reason for a camera that freezes.
      counts.failed += 1;
      if (counts.failed < 5) trouble("draw", error);
      face = { draw: createBlank({ width: ladder.size()[0], height: ladder.size()[1] }).draw };
    }
    if (turns === FRAMES_BEFORE_USE || turns % Math.ceil(fps / 2) === 0) reportCounts(at);
    next += 1000 / fps;
    setTimeout(loop, Math.max(0, next - pageNow()));
  }

  loop();
  return {
    say: (id, begun, keyframes) => mouths.say(id, begun, keyframes),
    finish: (at) => mouths.finish(at),
    watch(yes) {
      watched = yes;
    },
    ask(height) {
      ladder.ask(height, pageNow());
      face = null;
    },
    listen(attentive) {
      mood.attentive = attentive;
    },
    nod() {
      nods = true;
    },
    redress() {
      face = null;
    },
    burden(ms) {
      burden = ms;
    },
    close() {
      closed = true;
      writer.close().catch(() => undefined);
    },
  };
}

// What the pictures of a face are made with: nothing yet, or what Python gave.
function createWardrobe() {
  let clothes = null;
  return {
    async dress({ kind, rig, textures }) {
      const pictures = {};
      for (const [name, png] of Object.entries(textures)) {
        pictures[name] = await createImageBitmap(new Blob([png], { type: "image/png" }), {
          premultiplyAlpha: "none",
          colorSpaceConversion: "none",
        });
      }
      clothes = { kind, rig: JSON.parse(rig), textures: pictures };
    },
    face(width, height, expected) {
      if (clothes !== null) {
        return createFace({ ...clothes, width, height });
      }
      return expected ? createBlank({ width, height }) : createPattern({ width, height });
    },
  };
}

// Everything together, told what to do by messages: the first is { start: … }, then
// { call: name, with: […] }. `answer` takes what goes back.
function createStudio(answer) {
  const wardrobe = createWardrobe();
  const trouble = (where, error) => answer({ trouble: String(error), where });
  let painter = null;

  return {
    start({ writable, sizes, fps, patienceMs, nameplate, expected }) {
      painter = createPainter({
        writable,
        sizes,
        fps,
        patienceMs,
        nameplate,
        makeFace: (width, height) => wardrobe.face(width, height, expected),
        report: (counts) => answer({ counts }),
        trouble,
      });
      answer({ started: true });
    },
    async dress(clothes) {
      try {
        await wardrobe.dress(clothes);
        painter.redress();
        answer({ dressed: true });
      } catch (error) {
        trouble("dress", error);
      }
    },
    call(name, values) {
      painter[name](...values);
    },
  };
}

// In a Worker: its messages are the orders.
function serve(worker) {
  const studio = createStudio((data) => worker.postMessage(data));
  worker.onmessage = ({ data }) => {
    if (data.start) studio.start(data.start);
    else if (data.dress) studio.dress(data.dress);
    else studio.call(data.call, data.values);
  };
  worker.postMessage({ ready: true });
}
