// The expert store: the one owner of expert bytes. A layer's experts lie in one file, one row an expert, rows aligned
// to 4096 bytes; they are used where they lie.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "mapping.h"

namespace moonlet {

class ExpertStore {
 public:
  ExpertStore() = default;
  ExpertStore(const ExpertStore&) = delete;
  ExpertStore& operator=(const ExpertStore&) = delete;

  // Layers are added in order. Throws FileError if the file is shorter than its rows.
  void add_layer(const std::string& path, int64_t offset, int64_t experts, int64_t row_bytes) {
    layers_.push_back({Mapping(path, offset + experts * row_bytes), offset, experts, row_bytes});
  }

  // The bytes of an expert; `layer` counts sparse layers from 0.
  const uint8_t* expert(int layer, int expert) const {
    const Layer& at = layers_[layer];
    return at.file.data() + at.offset + expert * at.row_bytes;
  }
  int layers() const { return (int)layers_.size(); }
  int64_t experts(int layer) const { return layers_[layer].experts; }
  int64_t row_bytes(int layer) const { return layers_[layer].row_bytes; }

 private:
  struct Layer {
    Mapping file;
    int64_t offset, experts, row_bytes;
  };
  std::vector<Layer> layers_;
};

}  // namespace moonlet
