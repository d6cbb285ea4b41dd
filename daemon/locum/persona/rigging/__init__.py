"""From one image to a rig: what a renderer of ours moves, made once and the same for ever.

A rig is a JSON document and a few PNGs (`locum.ports.Rig`). The picture is laid into a frame of
1280 × 720 pixels; a mesh lies over it; *shapes* say how each vertex moves for one motion of the
face. What is drawn is always this one picture, only bent: so identity can't drift.

The document (`locum.persona.rigging.document` writes it, and checks what it reads)
---------------------------------------------------------------------------------
All positions and moves are pixels of the frame, x to the right, y down, (0, 0) its upper left
corner, pixel centres at .5. "Left" and "right" are as one sees them in the picture. Lists of
pairs are flat: x0, y0, x1, y1 … A renderer at another size scales by its width / 1280.

    format      "locum rig 1"
    kind        "face" or "mascot"
    picture     SHA-256 of the picture's file, in hex
    source      where the points came from: "landmarks", "points", "drawn", or "none" (mascot)
    frame       [1280, 720]
    vertices    2n numbers: where each vertex is at rest. A texture's pixel there is what it shows:
                the mesh's texture coordinates are its rest positions (they may lie up to 40
                pixels outside of the frame: clamp)
    depth       n numbers: pixels along the line of sight, 0 in the plane about which the head
                turns, below 0 is nearer to who looks
    head        n numbers, 0 to 1: how far the vertex follows the head (see "Posing")
    triangles   3m indices: the mesh, textured with `fg`. They partition what can move; pixels
                that never move are in no triangle, and come from `bg`
    shapes      name → {"vertices": k indices, "moves": 2k numbers}: where these vertices go when
                the shape's weight is 1 (moves add up; a weight may be any number from 0 to 1,
                `lower` and all of gaze from -1 to 1). Weight 1 is as far as looks natural:
                nothing is to be capped again
    inside      what is seen through the open mouth, back to front: [{"texture": "mouth", "vertices":
                [upper left, upper right, lower left, lower right]}, {"texture": "teeth", …}]. Each
                quad is posed as every vertex, and is drawn after `bg`, before the triangles, which
                leave a hole there; the texture's corners are the quad's. Empty without a mouth
    mouth       null without one, or
                  corners   [left, right] vertices of the lips' corners
                  upper, lower   vertices in the middle of the upper and the lower lip's inner edge
                  rim       vertices round the hole, clockwise from the left corner (upper edge first)
                  centre    [x, y], width: pixels between the corners, gap: pixels between the
                  lips in the middle, at rest
                  rest_close  weight that `close` has at rest (a mouth that is a little open in the
                  picture is held shut): close = max(close, rest_close × max(0, 1 - 3.5 × jaw))
    eyes        [left, right] or []: {"corners": [left, right], "upper": vertex, "lower": vertex,
                "iris": [x, y], "width": pixels}
    pivot       [x, y] about which the head turns (the neck's upper end); a mascot's base
    right, down [x, y] unit vectors of the face in the frame (a tilted head's are tilted)
    face_height pixels from the top of the forehead to the chin; a mascot's height
    glow        null, or for a mascot {"centre": [x, y], "radius": pixels, "colour": [r, g, b]}

Shapes of a face: those of `locum.core.speech.Mouth` (`jaw`, `upper`, `lower`, `wide`, `pucker`,
`press`, `close`), and `blink0`, `blink1` (left, right eye), `gazex0`, `gazex1`, `gazey0`,
`gazey1`, `brow` (raised), `breath`. A mascot has `breath`, and those of `Mouth` where its user
placed a mouth: every name of `Mouth` is there whenever `mouth` isn't null.

Textures
--------
    fg.png      RGBA, 1280 × 720: the picture; alpha is the matte (255 everywhere where the whole
                picture is bent)
    bg.png      RGB, 1280 × 720: what is behind
    mouth.png   RGB: the cavity with the tongue; teeth.png  RGBA, straight alpha. Neither without
                a mouth

Posing a face (weights `w` of shapes, head `yaw`, `pitch`, `roll` in radians, `tx`, `ty` pixels,
`zoom` 0 for none), for each vertex i:

    p = vertices[i] + Σ w[s] × moves_s[i]
    x, y = p - pivot;  z = -depth[i];  h = head[i]
    turned x = x cos yaw + z sin yaw;  z' = z cos yaw - x sin yaw
    turned y = y cos pitch - z' sin pitch
    x += (turned x - x) × h;  y += (turned y - y) × h
    rotate (x, y) by roll × h
    posed = pivot + (x, y) × (1 + zoom × h) + (tx, ty) × h

Natural: |yaw|, |pitch| ≤ 0.12 (7°), |roll| ≤ 0.06, |tx|, |ty| ≤ 6.

Posing a mascot: shapes first, then squash and stretch about `pivot`, its base: the same for all
vertices in a measure of `head` (1 everywhere where it is cut out of its ground).
"""
