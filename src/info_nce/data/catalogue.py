"""What there is to train on, for `info-nce data`; looking at the list fetches nothing."""

from info_nce.data import animals, digits, emoji, glosses, moving_digits, speech
from info_nce.data.splits import Facts

CATALOGUE = {
    "animals": animals.facts(),
    "digits": digits.facts(),
    "emoji": emoji.facts(),
    "glosses": glosses.facts(),
    "moving-digits": moving_digits.facts(),
    "speech": speech.facts(),
    "FOLDER of pictures": Facts(
        what="your own pictures: png, jpg, webp, bmp or gif, in a folder at any depth; sub-folders are labels "
        "(below train, val and the like, if there are such), which only the evaluation sees",
        counts="10 and more; some thousands are needed to learn something useful. 64 pixels square take 12 kB each",
        licence="yours",
        credit="yours",
        origin="--data FOLDER",
        used_for="simclr, moco",
        notes=("Exact duplicates are left out. Split 60 / 20 / 20 within each sub-folder, 80 / 20 without labels.",),
    ),
    "FILE of pictures and texts": Facts(
        what="your own pictures with captions: csv, tsv, jsonl or parquet with the columns image (a path, relative to "
        "the file) and text, and perhaps id (rows with the same id belong together) and category, which only the "
        "evaluation sees",
        counts="10 things and more; some thousands are needed to learn something useful. 36 pixels square take 4 kB",
        licence="yours",
        credit="yours",
        origin="--data FILE",
        used_for="clip",
        notes=(
            "Rows that share an id, a picture or a text are one thing: no negatives of each other, and in one part.",
            "Split 80 / 10 / 10 by thing. Exact duplicates are left out.",
        ),
    ),
    "FOLDER of recordings": Facts(
        what="your own recordings: wav, flac, ogg, opus or mp3, in a folder at any depth, brought to 16 kHz and one "
        "channel; sub-folders are voices (below train, val and the like, if there are such), which only the evaluation "
        "sees",
        counts="10 and more; an hour is needed to learn something useful. An hour takes 115 MB",
        licence="yours",
        credit="yours",
        origin="--data FOLDER",
        used_for="cpc, wav2vec2",
        notes=("Exact duplicates are left out. Split 60 / 20 / 20 within each sub-folder, 80 / 20 without labels.",),
    ),
    "FOLDER of videos": Facts(
        what="your own videos: mp4, m4v, mov, mkv, webm, avi or gif, at any depth; sub-folders are labels, which only "
        "the evaluation sees",
        counts="10 and more videos of 2 seconds; 0.2 MB each at 64 pixels, twice that while loading",
        licence="yours",
        credit="yours",
        origin="--data FOLDER",
        used_for="videomoco",
        notes=(
            "Split by file, 60 / 20 / 20 within each sub-folder, 80 / 20 without labels.",
            "Exact duplicates are left out.",
        ),
    ),
    "FILE of pairs": Facts(
        what="your own pairs of texts: a CSV, TSV, JSON Lines or Parquet file with the columns query and document (or "
        "anchor and positive, text1 and text2, question and answer), and perhaps id and negative, negative_1 ...",
        counts="10 and more; some thousands are needed to learn something useful",
        licence="yours",
        credit="yours",
        origin="--data FILE",
        used_for="text",
        notes=(
            "Rows that share an id, a query or a document answer each other's queries, and are kept together.",
            "Split 80 / 10 / 10 by what belongs together.",
        ),
    ),
}
