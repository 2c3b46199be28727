// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/pch_trainer.hpp: what the tests of folders that train compile beside it. (That headers include what they
// need is seen by headers_alone.)
#pragma once
#include <cohort/comm/delayed.hpp>
#include <cohort/comm/recorder.hpp>
#include <cohort/launch.hpp>
#include <cohort/optim/sgd.hpp>
#include <cohort/trainer.hpp>

#include "models.hpp"
#include "pch.hpp"
#include "products.hpp"
