#include "CSentencePiece.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

namespace sentencepiece::logging {
// Exported by the library, though in none of its installed headers.
void SetMinLogLevel(int level);
}  // namespace sentencepiece::logging

struct csp_processor {
  sentencepiece::SentencePieceProcessor library;
};

namespace {

constexpr int kFatalOnly = 3;  // the tools report errors themselves

void put(const char *text, char *message, size_t capacity) {
  if (capacity == 0) return;
  const size_t length = std::min(std::strlen(text), capacity - 1);
  std::memcpy(message, text, length);
  message[length] = 0;
}

// Runs `body`, which gives a status, and turns whatever goes wrong into a message.
template <class Body>
int guarded(char *message, size_t capacity, Body body) {
  try {
    const sentencepiece::util::Status status = body();
    if (status.ok()) return 1;
    put(status.error_message(), message, capacity);
  } catch (const std::exception &error) {
    put(error.what(), message, capacity);
  } catch (...) {
    put("unknown error", message, capacity);
  }
  return 0;
}

class Sentences : public sentencepiece::SentenceIterator {
 public:
  Sentences(csp_next_sentence next, void *context) : next_(next), context_(context) { Next(); }
  bool done() const override { return done_; }
  const std::string &value() const override { return value_; }
  sentencepiece::util::Status status() const override { return {}; }
  void Next() override {
    done_ = done_ || !next_(context_, &value_, give);
  }

 private:
  static void give(void *sink, const char *text, size_t length) {
    static_cast<std::string *>(sink)->assign(text, length);
  }

  csp_next_sentence next_;
  void *context_;
  std::string value_;
  bool done_ = false;
};

}  // namespace

extern "C" {

csp_processor *csp_load(const void *bytes, size_t count, char *message, size_t capacity) {
  std::unique_ptr<csp_processor> processor;
  const int loaded = guarded(message, capacity, [&] {
    sentencepiece::logging::SetMinLogLevel(kFatalOnly);
    processor = std::make_unique<csp_processor>();
    return processor->library.LoadFromSerializedProto(
        std::string_view(static_cast<const char *>(bytes), count));
  });
  return loaded ? processor.release() : nullptr;
}

void csp_free(csp_processor *processor) { delete processor; }

int32_t csp_piece_count(const csp_processor *processor) {
  return processor->library.GetPieceSize();
}

int csp_encode(
    const csp_processor *processor, const char *text, size_t length, void *context,
    csp_receive_ids receive, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    std::vector<int> ids;
    const auto status = processor->library.Encode(std::string_view(text, length), &ids);
    if (status.ok()) receive(context, ids.data(), ids.size());
    return status;
  });
}

int csp_decode(
    const csp_processor *processor, const int32_t *ids, size_t count, void *context,
    csp_receive_bytes receive, char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    const int32_t pieces = processor->library.GetPieceSize();
    for (size_t i = 0; i < count; i++) {
      if (ids[i] < 0 || ids[i] >= pieces) {
        return sentencepiece::util::Status(
            sentencepiece::util::StatusCode::kOutOfRange, "an id outside the vocabulary");
      }
    }
    std::string text;
    const auto status = processor->library.Decode(std::vector<int>(ids, ids + count), &text);
    if (status.ok()) receive(context, text.data(), text.size());
    return status;
  });
}

int csp_train(
    const char *const *names, const char *const *values, size_t options, uint32_t seed,
    void *context, csp_next_sentence next, csp_receive_bytes receive, char *message,
    size_t capacity) {
  return guarded(message, capacity, [&] {
    std::unordered_map<std::string, std::string> arguments;
    for (size_t i = 0; i < options; i++) arguments[names[i]] = values[i];
    arguments["minloglevel"] = std::to_string(kFatalOnly);
    sentencepiece::SetRandomGeneratorSeed(seed);
    Sentences sentences(next, context);
    std::string model;
    const auto status =
        sentencepiece::SentencePieceTrainer::Train(arguments, &sentences, &model);
    if (status.ok()) receive(context, model.data(), model.size());
    return status;
  });
}

}  // extern "C"
