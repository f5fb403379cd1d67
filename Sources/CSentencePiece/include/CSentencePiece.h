// A C face over the C++ library SentencePiece. No exception leaves it: every function that can fail
// returns 0 (or NULL) and writes a zero-terminated message into the caller's buffer.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A loaded model; immutable, so that threads may share it.
typedef struct csp_processor csp_processor;

/// Loads a model from the bytes of a `.model` file, which the library copies.
csp_processor *csp_load(const void *bytes, size_t count, char *message, size_t capacity);

/// Frees a model; NULL is allowed.
void csp_free(csp_processor *processor);

/// The number of pieces.
int32_t csp_piece_count(const csp_processor *processor);

/// Receives a result that lives only during the call.
typedef void (*csp_receive_ids)(void *context, const int32_t *ids, size_t count);
typedef void (*csp_receive_bytes)(void *context, const char *bytes, size_t count);

/// Encodes UTF-8 text. Returns 1, or 0 with a message.
int csp_encode(
    const csp_processor *processor, const char *text, size_t length, void *context,
    csp_receive_ids receive, char *message, size_t capacity);

/// Decodes ids to UTF-8 text. Returns 1, or 0 with a message.
int csp_decode(
    const csp_processor *processor, const int32_t *ids, size_t count, void *context,
    csp_receive_bytes receive, char *message, size_t capacity);

/// Takes the bytes of a sentence, which it copies.
typedef void (*csp_give)(void *sink, const char *text, size_t length);

/// Gives the next sentence by one call of `give`; returns 1, or 0 at the end.
typedef int (*csp_next_sentence)(void *context, void *sink, csp_give give);

/// Trains a model on the sentences and gives its bytes. The options are the library's own names and
/// values. Returns 1, or 0 with a message.
int csp_train(
    const char *const *names, const char *const *values, size_t options, uint32_t seed,
    void *context, csp_next_sentence next, csp_receive_bytes receive, char *message,
    size_t capacity);

#ifdef __cplusplus
}
#endif
