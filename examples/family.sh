#!/bin/sh
# A family matrix: every father with every mother, and their children where they meet.
#
#     examples/family.sh "fathers/*.jpg" "mothers/*.jpg" family.png
#
# Latents are found once a photo and kept beside it, so that the next matrix is drawn at once.
set -eu
[ $# -eq 3 ] || { echo "usage: $0 'FATHERS' 'MOTHERS' OUT" >&2; exit 2; }

latents() { # the latent of each photo of a pattern, found if it is not there yet
    for photo in $1; do
        latent="${photo%.*}.latent.safetensors"
        [ -e "$latent" ] || neuralid invert "$photo" --outdir "$(dirname "$photo")" >&2
        printf '%s\n' "$latent"
    done
}

fathers=$(latents "$1")
mothers=$(latents "$2")
rows=$(printf '%s\n' "$fathers" | wc -l)
# shellcheck disable=SC2086  # one word a path
neuralid mix $fathers $mothers --matrix "$rows" -o "$3"
