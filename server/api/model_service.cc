#include "server/api/model_service.h"

#include "server/api/call_trace.h"
#include "server/api/unary.h"
#include "server/api/validation.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::api {
namespace {

constexpr std::string_view kCollection = "models";
constexpr int kMaxFiles = 100;
constexpr int kMaxPatterns = 100;

absl::Status CheckImport(const v1::ImportModelRequest& request) {
  RequestCheck check;
  check.NotEmpty("model_id", request.model_id(), "the last part of the model's name, for example \"minilm\"");
  check.OptionalId("model_id", request.model_id());
  check.Text("display_name", request.display_name(), 255);
  if (request.files().empty()) check.Violate("files", "is required: at least config.json and model.safetensors, and tokenizer.json of a text model");
  if (request.files_size() > kMaxFiles) check.Violate("files", StrCat("has ", request.files_size(), " entries; at most ", kMaxFiles, " are allowed"));
  for (int i = 0; i < request.files_size(); ++i) {
    check.NotEmpty(StrCat("files[", i, "].path"), request.files(i).path(), "the name in the model's directory, for example config.json");
    check.Text(StrCat("files[", i, "].path"), request.files(i).path(), 255);
    check.Name(StrCat("files[", i, "].upload"), request.files(i).upload(), "uploads");
  }
  check.RequestId(request.request_id());
  return check.status();
}

}  // namespace

grpc::ServerUnaryReactor* ModelService::ImportModel(grpc::CallbackServerContext* context, const v1::ImportModelRequest* request,
                                                    v1::Model* response) {
  const TraceScope trace = TraceOf(*context);
  if (absl::Status status = CheckImport(*request); !status.ok()) return Answer(context, status);
  absl::StatusOr<Caller> caller = access_.CallerOf(*context);
  if (!caller.ok()) return Answer(context, caller.status());
  return DetachableCall<v1::Model>::Start(imports_, response, [this, caller = *std::move(caller), request = *request]() mutable -> absl::StatusOr<v1::Model> {
    ATTUNE_RETURN_IF_ERROR(access_.Check(caller, request));
    ATTUNE_ASSIGN_OR_RETURN(*request.mutable_project(), caller.ProjectForNew(request.project(), "project"));
    request.set_request_id(ScopedRequestId(request.project(), request.request_id()));
    return catalogue_.Import(request);
  });
}

grpc::ServerUnaryReactor* ModelService::GetModel(grpc::CallbackServerContext* context, const v1::GetModelRequest* request,
                                                 v1::Model* response) {
  RequestCheck check;
  check.Name("name", request->name(), kCollection);
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request] { return catalogue_.Get(request->name()); });
}

grpc::ServerUnaryReactor* ModelService::ListModels(grpc::CallbackServerContext* context, const v1::ListModelsRequest* request,
                                                   v1::ListModelsResponse* response) {
  RequestCheck check;
  check.PageSize(request->page_size());
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request](const Caller& caller) {
    return catalogue_.List(caller.Visible(), EffectivePageSize(request->page_size(), 50, 1000), request->page_token());
  });
}

grpc::ServerUnaryReactor* ModelService::DeleteModel(grpc::CallbackServerContext* context, const v1::DeleteModelRequest* request,
                                                    v1::DeleteModelResponse* response) {
  const TraceScope trace = TraceOf(*context);
  RequestCheck check;
  check.Name("name", request->name(), kCollection);
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request] { return catalogue_.Delete(request->name()); });
}

grpc::ServerUnaryReactor* ModelService::DescribeLayers(grpc::CallbackServerContext* context, const v1::DescribeLayersRequest* request,
                                                       v1::DescribeLayersResponse* response) {
  RequestCheck check;
  check.Name("name", request->name(), kCollection);
  if (request->patterns_size() > kMaxPatterns) {
    check.Violate("patterns", StrCat("has ", request->patterns_size(), " entries; at most ", kMaxPatterns, " are allowed"));
  }
  if (!v1::Pooling_IsValid(request->pooling())) check.Violate("pooling", StrCat("there is no pooling ", static_cast<int>(request->pooling()), "; use FIRST_TOKEN, MEAN or MAX"));
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request] { return catalogue_.DescribeLayers(*request); });
}

grpc::ServerUnaryReactor* ModelService::ListArchitectures(grpc::CallbackServerContext* context,
                                                          const v1::ListArchitecturesRequest* request,
                                                          v1::ListArchitecturesResponse* response) {
  *response = scheduler_.architectures();
  return Answer(context, absl::OkStatus());
}

}  // namespace attune::api
