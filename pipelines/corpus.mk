# A corpus spoken by a program, for the demos: CORPUS (its folder), SENTENCES (a text), VOICES, and SPEAKER, flite or
# espeak-ng. SHUFFLED=1 lists the recordings with each other's words.

SPEAKER ?= flite
METADATA := $(CORPUS)/metadata.csv

# What the corpus is spoken from, as a stamp: other voices or sentences, another corpus.
$(CORPUS).id: FORCE
	$(here)stamp $@ sh -c 'echo "$(VOICES) shuffled=$(SHUFFLED)"; cat $(SENTENCES)'
$(METADATA): $(CORPUS).id
	SHUFFLED=$(SHUFFLED) $(here)speak $(SPEAKER) $(SENTENCES) $(CORPUS) $(VOICES)
